// Controls, pictures and parts of the page without a name for a reader of screens.
[...document.querySelectorAll("button, input, a, summary, [role=img], [role=list], [role=dialog], section.pane, nav")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.ariaLabel || one.getAttribute("aria-labelledby") || one.innerText?.trim() || one.labels?.length || one.title))
  .map((one) => one.outerHTML.slice(0, 90));
