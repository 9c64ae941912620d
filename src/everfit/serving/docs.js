"use strict";
const body = document.getElementById("body"), answer = document.getElementById("answer");
const send = document.getElementById("send"), curl = document.getElementById("curl");
const tabs = [...document.querySelectorAll(".tabs button")];
const truths = JSON.parse(answer.dataset.truths), score = answer.dataset.score;

const make = (name, text = "", className = "") => {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...[text].flat());
  return made;
};
const figure = (value) => typeof value === "number" && !Number.isInteger(value) ? value.toFixed(4) : String(value);
const raw = (value) => {
  const shown = make("details", make("summary", "The answer as it came"));
  shown.append(make("pre", JSON.stringify(value, null, 2)));
  return shown;
};
const table = (rows, className) => {
  const made = make("table", rows.map((cells) => make("tr", cells)), className);
  return make("div", made, "scroll");
};

const show = (status, seconds, parts) => {
  const said = make("p", [make("span", String(status), status === 200 ? "status good" : "status bad"),
    make("span", ` in ${Math.max(1, Math.round(seconds))} ms`, "quiet")]);
  answer.replaceChildren(make("h2", "Answer"), said, ...parts);
  answer.scrollIntoView({block: "nearest"});
};
const bar = (value) => {
  const made = make("div", make("i"), "bar");
  made.firstChild.style.width = `${100 * Math.min(1, Math.max(0, value))}%`;
  return made;
};
const one = (said) => {
  const hidden = new Set(["prediction", score, "probabilities", "features"]);
  const facts = Object.entries(said).filter(([name]) => !hidden.has(name));
  const shares = Object.entries(said.probabilities ?? {});
  const parts = [make("p", figure(said.prediction), "big")];
  const likely = truths.length === 2 ? truths[1] : figure(said.prediction);
  if (truths.length) {
    parts.push(make("p", [make("b", figure(said[score])), ` ${score}: the probability of ${likely}`]), bar(said[score]));
  }
  if (shares.length) parts.push(table(shares.map(([name, share]) => [make("th", name), make("td", figure(share))]), "facts"));
  parts.push(table(facts.map(([name, value]) => [make("th", name), make("td", figure(value))]), "facts"));
  return [...parts, raw(said), why(said.id), truth(said.id)];
};
const many = (said) => {
  const names = Object.keys(said[0]).filter((name) => !["id", "probabilities", "features"].includes(name));
  const rows = said.slice(0, 50).map((row) => names.map((name) => make("td", figure(row[name]))));
  return [table([names.map((name) => make("th", name)), ...rows], ""), raw(said)];
};
const problems = (said) => [make("ul", said.error.split("; ").map((text) => make("li", text))),
  ...(said.fix ? [make("p", [make("b", "Fix: "), said.fix])] : []), raw(said)];

const push = (amount, most) => {
  const made = make("div", make("i", "", amount < 0 ? "down" : ""), "push");
  made.firstChild.style.width = `${most ? 50 * Math.abs(amount) / most : 0}%`;
  return made;
};
const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(4);
const reasons = (said) => {
  const most = Math.max(...said.contributions.map((each) => Math.abs(each.contribution)), 0);
  const rows = said.contributions.map((each) => [make("th", each.feature), make("td", figure(each.value ?? "missing")),
    make("td", signed(each.contribution), "amount"), make("td", push(each.contribution, most))]);
  const about = said.class === null ? said.unit : `${said.unit} of ${said.class}`;
  const drawn = said.method === "sampled" ? " Drawn, with the standard errors in the answer as it came." : "";
  const sum = `From ${signed(said.base)} on average to ${signed(said.output)} here (${about}).${drawn}`;
  return [make("p", sum, "quiet"), table(rows, ""), raw(said)];
};
const why = (id) => {
  const button = make("button", "Why?"), told = make("div");
  button.addEventListener("click", async () => {
    const [status, , said] = await ask(`explain/${id}`);
    told.replaceChildren(...(status === 200 ? reasons(said) : problems(said)));
  });
  return make("div", [button, told], "truth");
};
const truth = (id) => {
  const row = make("p", "", "row"), told = make("span", "", "quiet");
  const tell = async (value) => {
    const [status, , said] = await ask("feedback", JSON.stringify({prediction_id: id, value}));
    told.textContent = status === 200 ? (said.new ? `stored: ${value}` : "known already") : said.error;
  };
  const choose = (label, value) => {
    const button = make("button", label);
    button.addEventListener("click", () => tell(value()));
    return button;
  };
  if (truths.length) row.append(...truths.map((name) => choose(name, () => name)));
  else {
    const number = make("input");
    number.type = "number";
    number.step = "any";
    number.setAttribute("aria-label", "The true value");
    row.append(number, choose("POST /feedback", () => number.valueAsNumber));
  }
  row.append(told);
  return make("div", [make("h2", "What turned out to be true?"), row], "truth");
};

const ask = async (path, text) => {
  const started = performance.now();
  const posted = {method: "POST", headers: {"Content-Type": "application/json"}, body: text};
  const came = await fetch(path, text === undefined ? {} : posted);
  const said = await came.text();
  let read;
  try { read = JSON.parse(said); } catch { read = {error: said || "an empty answer"}; }
  return [came.status, performance.now() - started, read];
};
const predict = async () => {
  send.disabled = true;
  try {
    const [status, seconds, said] = await ask("predict", body.value);
    show(status, seconds, status !== 200 ? problems(said) : said.predictions ? many(said.predictions) : one(said));
  } catch (error) {
    answer.replaceChildren(make("h2", "Answer"), make("p", "The server does not answer.", "status bad"),
      make("p", String(error), "quiet"));
  }
  send.disabled = false;
};
const shell = () => {
  const quoted = body.value.replaceAll("'", "'\\''");
  curl.textContent = `curl -s ${new URL("predict", location.href)} -H 'content-type: application/json' -d '${quoted}'`;
};

send.addEventListener("click", predict);
body.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) predict();
});
body.addEventListener("input", () => {
  tabs.forEach((tab) => tab.setAttribute("aria-pressed", tab.dataset.example === body.value));
  shell();
});
tabs.forEach((tab) => tab.addEventListener("click", () => {
  body.value = tab.dataset.example;
  body.dispatchEvent(new Event("input"));
}));
shell();
