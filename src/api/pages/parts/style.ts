/** The stylesheet of the pages, served as a file so that the content security policy needs no inline style. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --sheet: #ffffff; --ink: #1a2230; --soft: #5a6577; --line: #dfe3ea;
  --accent: #1f5fd0; --good: #12734a; --wait: #8a5a00; --bad: #b3261e; --idle: #5a6577;
  --good-tint: #e3f4ec; --wait-tint: #fdf1da; --bad-tint: #fce8e6; --idle-tint: #eceff3;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161d; --sheet: #1a202a; --ink: #e6eaf0; --soft: #9aa5b5; --line: #2c3542;
    --accent: #7fb0ff; --good: #6fd3a3; --wait: #f0c274; --bad: #ff9d94; --idle: #9aa5b5;
    --good-tint: #15322a; --wait-tint: #35290f; --bad-tint: #3b1c1a; --idle-tint: #262e3a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); }
a { color: var(--accent); }
a:focus-visible, button:focus-visible, summary:focus-visible, input:focus-visible, select:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px;
}
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; background: var(--sheet); padding: .5rem 1rem; z-index: 1; }
header.top { background: var(--sheet); border-bottom: 1px solid var(--line); }
header.top > div { max-width: 76rem; margin: 0 auto; padding: .75rem 1rem; display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; }
header.top .brand { font-weight: 650; text-decoration: none; color: var(--ink); letter-spacing: -.01em; }
header.top nav { margin-left: auto; display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; }
main, footer { max-width: 76rem; margin: 0 auto; padding: 1rem; }
footer { padding-top: 0; }
h1 { font-size: 1.4rem; margin: .5rem 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
h3 { font-size: .95rem; margin: 1rem 0 .25rem; }
section > :last-child { margin-bottom: 0; }
section > :first-child { margin-top: 0; }
section { background: var(--sheet); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; margin: 0 0 1rem; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
.lines { white-space: pre-line; }
.mono, code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .875em; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--ground); border: 1px solid var(--line); border-radius: 8px; padding: .75rem; margin: .5rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .45rem .6rem .45rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .875rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; padding-right: 1.5rem; }
table.computations { table-layout: fixed; }
table.computations th:nth-child(1) { width: 34%; }
table.computations th:nth-child(2) { width: 18%; }
table.computations th:nth-child(3) { width: 9%; }
table.computations th:nth-child(4) { width: 22%; }
table.trail th:nth-child(1) { width: 11rem; }
table.trail th:nth-child(4) { width: 10rem; }
dl.then-now { display: grid; grid-template-columns: 3rem minmax(0, 1fr); gap: .15rem .5rem; margin: 0; }
dl.then-now dt { color: var(--soft); font-size: .875rem; line-height: 1.6; }
dl.then-now dd { margin: 0; overflow-wrap: anywhere; }
ol.list, ul.list { list-style: none; margin: 0; padding: 0; }
ol.list > li, ul.list > li { border-top: 1px solid var(--line); padding: .55rem 0; }
ol.list > li:first-child, ul.list > li:first-child { border-top: 0; }
.row { display: flex; flex-wrap: wrap; gap: .1rem .75rem; align-items: baseline; }
.row.status { margin: 0 0 1rem; align-items: center; }
.row > .push { margin-left: auto; }
time { font-variant-numeric: tabular-nums; color: var(--soft); font-size: .875rem; white-space: nowrap; }
.badge { display: inline-block; padding: 0 .55em; border-radius: 1em; font-size: .8125rem; font-weight: 550; white-space: nowrap; background: var(--idle-tint); color: var(--idle); }
.badge.good { background: var(--good-tint); color: var(--good); }
.badge.wait { background: var(--wait-tint); color: var(--wait); }
.badge.bad { background: var(--bad-tint); color: var(--bad); }
.steps { display: flex; flex-wrap: wrap; gap: .25rem; margin: .35rem 0 0; padding: 0; list-style: none; font-size: .8125rem; }
.steps li { border: 1px solid var(--line); border-radius: 6px; padding: 0 .45em; color: var(--soft); }
.steps li.done { border-color: transparent; background: var(--good-tint); color: var(--good); }
.steps li.now { border-color: transparent; background: var(--wait-tint); color: var(--wait); }
.steps li.failed { border-color: transparent; background: var(--bad-tint); color: var(--bad); }
details > summary { cursor: pointer; color: var(--accent); font-size: .875rem; margin-top: .25rem; }
.note { border-left: 3px solid var(--wait); background: var(--wait-tint); padding: .5rem .75rem; border-radius: 0 8px 8px 0; margin: 0 0 1rem; }
.note.idle { border-color: var(--idle); background: var(--idle-tint); }
.note.good { border-color: var(--good); background: var(--good-tint); }
section.needs-you { border-color: var(--bad); background: var(--bad-tint); }
.note.bad { border-color: var(--bad); background: var(--bad-tint); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1rem; align-items: start; }
button { font: inherit; padding: .3rem .9rem; border: 1px solid var(--line); border-radius: 7px; background: var(--sheet); color: var(--ink); cursor: pointer; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--sheet); font-weight: 600; }
button.main:hover, button:hover { filter: brightness(.97); }
form.inline { display: inline; margin: 0; }
form.inline > label { margin: 0 .25rem; }
select, .ask input { font: inherit; padding: .3rem .5rem; border: 1px solid var(--line); border-radius: 7px; background: var(--sheet); color: var(--ink); max-width: 100%; }
.row.actions { margin: 0 0 1rem; gap: .5rem .75rem; align-items: flex-start; }
details.ask > summary { margin: 0; padding: .3rem .9rem; border: 1px solid var(--line); border-radius: 7px; background: var(--sheet); color: var(--ink); font-size: 1rem; list-style: none; width: fit-content; }
details.ask > summary::-webkit-details-marker { display: none; }
details.ask > form { max-width: 28rem; margin-top: .5rem; padding: .75rem; border: 1px solid var(--line); border-radius: 8px; background: var(--sheet); }
details.ask p { margin: 0 0 .5rem; }
details.ask label { display: block; }
details.ask input { width: 100%; margin: .25rem 0 .75rem; }
.progress { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: center; margin: .35rem 0; }
main > .progress { margin: 0 0 1rem; }
progress { appearance: none; border: 0; flex: 1 1 10rem; max-width: 24rem; height: .5rem; border-radius: .25rem; background: var(--idle-tint); overflow: hidden; accent-color: var(--accent); }
progress::-webkit-progress-bar { background: var(--idle-tint); border-radius: .25rem; }
progress::-webkit-progress-value { background: var(--accent); border-radius: .25rem; }
progress::-moz-progress-bar { background: var(--accent); }
dl.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: 0 0 .5rem; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.refused { max-width: 74rem; margin: 1rem auto 0; }
tr.group > th { font-weight: 550; padding-top: .75rem; }
tr.group .soft, tr.group span > code, tr.group .row > span { font-weight: 400; }
tr.group .row > .badge { font-weight: 550; }
table.history td, table.executions td { overflow-wrap: normal; }
table.history td:last-child { overflow-wrap: anywhere; width: 28%; }
.sign-in { max-width: 22rem; margin: 12vh auto 0; }
.sign-in label { display: block; margin: .75rem 0 .25rem; }
.sign-in input { font: inherit; width: 100%; padding: .45rem .6rem; border: 1px solid var(--line); border-radius: 7px; background: var(--ground); color: var(--ink); }
.sign-in button { width: 100%; margin-top: 1rem; }
.reference { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 1.5rem; }
.reference > nav { position: sticky; top: 1rem; align-self: start; max-height: calc(100vh - 2rem); overflow-y: auto; font-size: .875rem; }
.reference > nav ul { list-style: none; padding: 0 0 0 .5rem; margin: .25rem 0 .75rem; }
.reference > nav a { text-decoration: none; }
.method { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: .8125rem; font-weight: 650; text-transform: uppercase; }
@media (max-width: 48rem) {
  .reference { grid-template-columns: 1fr; }
  .reference > nav { position: static; max-height: 14rem; }
  table.cards thead { position: absolute; left: -999px; }
  table.cards tr { display: block; border-top: 1px solid var(--line); padding: .5rem 0; }
  table.cards td { display: flex; gap: 1rem; justify-content: space-between; border: 0; padding: .1rem 0; text-align: right; }
  table.cards td.none { display: none; }
  table.cards td.title .soft { font-weight: 400; }
  table.cards td.title { display: block; text-align: left; font-weight: 550; }
  table.trail tr { display: flex; flex-wrap: wrap; gap: 0 .6rem; align-items: baseline; }
  table.trail td { display: inline; text-align: left; font-size: .875rem; }
  table.trail td.title { order: -1; width: 100%; font-size: inherit; }
  table.cards td[data-label]::before { content: attr(data-label); color: var(--soft); font-size: .875rem; text-align: left; flex: none; }
  td.number { padding-right: 0; }
  table.cards tr.group > th { display: block; border: 0; padding: .25rem 0; }
  table.history td:last-child { width: auto; }
  .refused { margin: 1rem 1rem 0; }
}
`;
