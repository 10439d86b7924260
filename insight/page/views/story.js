// A pod that is bound: what it was granted, what the kernel gave, and what happened to it.
import { html, pure } from "../html.js";
import { clock, day, percent } from "../format.js";

const Servers = ({ servers }) => html`
  <table>
    <caption>Granted</caption>
    <thead><tr><th scope="col">container</th><th scope="col">core</th><th scope="col" class="figure">budget</th><th scope="col" class="figure">period</th><th scope="col" class="figure">share</th><th scope="col">by</th></tr></thead>
    <tbody>${servers.map((one) => html`
      <tr key=${`${one.container} ${one.core}`}><td>${one.container}</td><td>${one.core}</td><td class="figure">${one.budget}</td>
        <td class="figure">${one.period}</td><td class="figure">${percent(one.share)}</td><td>${one.mechanism}</td></tr>`)}</tbody>
  </table>`;

const Tasks = ({ servers }) => html`
  <table>
    <caption>Tasks in force</caption>
    <thead><tr><th scope="col">task</th><th scope="col">thread</th><th scope="col" class="figure">WCET</th><th scope="col" class="figure">period</th><th scope="col" class="figure">deadline</th><th scope="col" class="figure">priority</th></tr></thead>
    <tbody>${servers.flatMap((one) => one.tasks.map((task) => html`
      <tr key=${`${one.container} ${one.core} ${task.name}`}><td>${task.name}</td><td>${task.thread}</td><td class="figure">${task.wcet}</td>
        <td class="figure">${task.period}</td><td class="figure">${task.deadline}</td><td class="figure">${task.priority ?? "deadline"}</td></tr>`))}</tbody>
  </table>`;

function enforcement({ enforced, enforced_why: why }) {
  if (enforced === null) return `nothing to enforce, or not said${why && `: ${why}`}`;
  return enforced ? "yes, by the kernel" : `no: ${why}`;
}

export const Story = pure(({ story }) => html`
  <section class="story">
    <p class="summary">${story.summary}</p>
    <dl class="facts">
      <div><dt>level</dt><dd>${story.level ?? "not usable"}, needs ${story.level_needed}</dd></div>
      <div><dt>enforced</dt><dd>${enforcement(story)}${story.enforced_since && ` since ${clock(story.enforced_since)}`}</dd></div>
      <div><dt>overruns</dt><dd>${story.overruns || "none reported"}</dd></div>
      ${story.networks.map((text) => html`<div key=${text}><dt>network</dt><dd>${text}</dd></div>`)}
    </dl>
    ${story.servers.length > 0 && html`<${Servers} servers=${story.servers} />`}
    ${story.servers.some((one) => one.tasks.length > 0) && html`<${Tasks} servers=${story.servers} />`}
    ${story.conditions.length > 0 && html`
      <h3>Conditions</h3>
      <ul class="plain">${story.conditions.map((one) => html`
        <li key=${one.kind}><code>${one.kind}</code> ${one.status}${one.reason && `, ${one.reason}`}${one.message && `: ${one.message}`}</li>`)}</ul>`}
    ${story.happenings.length > 0 && html`
      <h3>How it came here</h3>
      <ol class="chain">${story.happenings.map((one) => html`
        <li key=${one.at + one.text}><time datetime=${one.at}>${clock(one.at)} <small>${day(one.at)}</small></time><b>${one.kind}</b> ${one.text}</li>`)}</ol>`}
  </section>`);
