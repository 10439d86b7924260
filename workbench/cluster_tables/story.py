"""The story of a bound pod as people read it."""

from k40s.explanation.model import PodStory, StoryServer
from workbench.printable import in_line
from workbench.table import format_table

_LAST = 12


def story_text(story: PodStory, *, wide: bool) -> str:
    """How it is in one sentence, what it holds, and what happened; ``wide``: all of that."""
    level = "not usable" if story.level is None else str(story.level)
    facts = [
        ("criticality", story.criticality),
        ("node", f"{story.node}, assurance {level} ({story.level_needed} needed)"),
        ("since", story.since or "-"),
        ("enforced", _enforced(story)),
        ("overruns", story.overruns or "none reported"),
        *(("network", one) for one in story.networks),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [in_line(f"{name.ljust(width)}  {text}") for name, text in facts]
    answer = in_line(f"{story.namespace}/{story.pod}: {story.summary}")
    parts = [answer, "\n".join(lines)]
    if story.servers:
        head = ["CORE", "SERVER", "SHARE", "MECHANISM", "CONTAINER", "THREAD", "PRIORITY", "WCET"]
        rows = [row for server in story.servers for row in _rows(server)]
        parts.append(format_table(head, rows))
    happenings = story.happenings if wide else story.happenings[-_LAST:]
    if happenings:
        head = ["TIME", "KIND", "WHAT HAPPENED"]
        parts.append(format_table(head, [(h.at or "-", h.kind, h.text) for h in happenings]))
    return "\n\n".join(parts)


def _enforced(story: PodStory) -> str:
    if story.enforced is None:
        return "not said" if story.servers else "nothing to enforce"
    word = "yes" if story.enforced else "no"
    since = f", since {story.enforced_since}" if story.enforced_since else ""
    return f"{word}{since} ({story.enforced_why})"


def _rows(server: StoryServer) -> list[list[str]]:
    shared = [
        server.core,
        f"{server.budget}/{server.period}",
        f"{server.share:.3f}",
        server.mechanism,
        server.container,
    ]
    return [
        [
            *shared,
            task.thread,
            "-" if task.priority is None else str(task.priority),
            f"{task.wcet}/{task.period}, deadline {task.deadline}",
        ]
        for task in server.tasks
    ]
