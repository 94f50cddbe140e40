// Tables and texts for papers: <table data-copy="caption"> as Markdown and LaTeX, <pre data-copy>.
const TEX = {
  "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "_": "\\_", "#": "\\#",
  "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
  "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "\u2011": "-",
  "\u2013": "--", "\u2014": "---", "\u2212": "$-$", "\u00d7": "$\\times$", "\u00b1": "$\\pm$",
};
const textOf = (cell) => {  // without what stands below a line's name, such as its seeds
  const own = cell.cloneNode(true);
  own.querySelectorAll(".seeds").forEach((part) => part.remove());
  return own.textContent.replace(/\s+/g, " ").trim();
};
const cellsOf = (table) => [...table.rows].map((row) => [...row.cells].map(textOf));
const isNumber = (table) => [...table.rows[0].cells].map((cell) => cell.classList.contains("number"));

function tex(text) {
  const interval = text.replace(/(\d) to (\d)/g, "$1\u2013$2");
  const plain = [...interval].map((letter) => TEX[letter] ?? letter).join("");
  return plain.replace(/(\d) \\%/g, "$1\\,\\%");
}

const label = (caption) => caption.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");

function latex(table) {
  // a row that begins with [ or * would be read as an option of the one above
  const lines = cellsOf(table).map(
    (row) => `${row.map(tex).join(" & ")} \\\\`.replace(/^([[*])/, "{}$1"));
  const columns = isNumber(table).map((number) => (number ? "r" : "l")).join("");
  return [
    "% \\usepackage{booktabs}", "\\begin{table}", "\\centering",
    `\\caption{${tex(table.dataset.copy)}}`, `\\label{tab:${label(table.dataset.copy)}}`,
    `\\begin{tabular}{${columns}}`, "\\toprule", lines[0],
    "\\midrule", ...lines.slice(1), "\\bottomrule", "\\end{tabular}", "\\end{table}", "",
  ].join("\n");
}

function markdown(table) {
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const escaped = (text) => text.replace(/[\\`*_|<>[\]]/g, "\\$&").replace(/\u2011/g, "-");
  const [head, ...body] = cellsOf(table).map((cells) => row(cells.map(escaped)));
  const rule = row(isNumber(table).map((number) => (number ? "---:" : "---")));
  return [head, rule, ...body, ""].join("\n");
}

async function copy(text, bar) {
  const said = bar.querySelector("[role=status]");
  bar.querySelector("textarea")?.remove();
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "copied";
  } catch {  // a browser may refuse it to a page from a file
    const box = document.createElement("textarea");
    box.value = text;
    box.readOnly = true;
    box.rows = 6;
    box.setAttribute("aria-label", "The text to copy");
    bar.append(box);
    box.focus();
    box.select();
    said.textContent = "selected: copy it with Ctrl+C, or \u2318C";
  }
}

for (const one of document.querySelectorAll("table[data-copy], pre[data-copy]")) {
  const kinds = one.tagName === "PRE"
    ? [["Copy", (text) => text.textContent]]
    : [["Copy as Markdown", markdown], ["Copy as LaTeX", latex]];
  const bar = document.createElement("div");
  bar.className = "copy";
  for (const [name, written] of kinds) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => copy(written(one), bar));
    bar.append(button, " ");
  }
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  bar.append(said);
  (one.closest(".scroll") ?? one).after(bar);
}
