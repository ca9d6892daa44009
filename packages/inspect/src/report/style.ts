/** Style sheet of the report page. Colours follow the system's theme; `data-theme` on the root overrides it. */
const LIGHT = `--bg: #faf9f6; --surface: #ffffff; --stage: #f1efe9; --ink: #1f1e1b; --muted: #6d6a62;
  --line: #e4e0d6; --accent: #a8481f; --good: #2c7a4b; --bad: #b23a2e; color-scheme: light;`;
const DARK = `--bg: #131315; --surface: #1b1b1e; --stage: #0c0c0e; --ink: #ebe8e1; --muted: #9b978d;
  --line: #2d2d31; --accent: #e8946a; --good: #6cc48d; --bad: #ee8378; color-scheme: dark;`;

export const STYLE = `
:root { ${LIGHT} }
@media (prefers-color-scheme: dark) { :root:not([data-theme='light']) { ${DARK} } }
:root[data-theme='dark'] { ${DARK} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px clamp(16px, 3vw, 40px) 64px; }
header { display: flex; align-items: flex-start; justify-content: space-between; gap: 24px; }
h1 { font-size: clamp(22px, 3vw, 30px); line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 4px;
  font-weight: 650; text-wrap: balance; }
h2 { font-size: 17px; letter-spacing: -0.005em; margin: 44px 0 12px; font-weight: 650; }
p { margin: 0; } .muted, .subtitle { color: var(--muted); }
a { color: var(--accent); text-underline-offset: 3px; }
button { font: inherit; font-size: 13px; color: var(--ink); background: var(--surface); cursor: pointer;
  border: 1px solid var(--line); border-radius: 7px; padding: 4px 11px; }
button:hover { border-color: var(--muted); }
button[aria-pressed='true'] { background: var(--ink); color: var(--bg); border-color: var(--ink); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.notice { border-left: 3px solid var(--accent); background: var(--surface); padding: 10px 16px; margin-top: 20px;
  border-radius: 0 8px 8px 0; max-width: 80ch; }
.top { display: grid; grid-template-columns: minmax(0, 1fr) minmax(280px, 340px); gap: 24px; margin-top: 24px; }
#stage { border: 1px solid var(--line); border-radius: 12px; overflow: hidden; background: var(--surface); }
#stage canvas { display: block; width: 100%; aspect-ratio: 4 / 3; max-height: 66vh; background: var(--stage);
  touch-action: none; cursor: grab; }
#stage canvas:active { cursor: grabbing; }
.bar { display: flex; flex-wrap: wrap; gap: 8px 10px; align-items: center; padding: 10px 12px;
  border-top: 1px solid var(--line); font-size: 13px; }
.bar label { display: inline-flex; gap: 6px; align-items: center; }
#stage input[type='range'] { width: 84px; accent-color: var(--accent); }
#stage input[type='checkbox'] { accent-color: var(--accent); margin: 0; }
.bar .push { margin-left: auto; }
.group { display: inline-flex; } .group button { border-radius: 0; margin-left: -1px; }
.group button:first-child { border-radius: 7px 0 0 7px; margin-left: 0; }
.group button:last-child { border-radius: 0 7px 7px 0; }
.group button:only-child { border-radius: 7px; }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 6px; }
.side { display: flex; flex-direction: column; gap: 22px; min-width: 0; }
.side h2 { margin: 0 0 6px; font-size: 13px; font-weight: 600; color: var(--muted); }
.question { font-size: 16px; line-height: 1.45; white-space: pre-line; overflow-wrap: anywhere; }
.options { list-style: none; margin: 10px 0 0; padding: 0; }
.options li { padding: 2px 0; } .options b { display: inline-block; width: 1.6em; font-weight: 600; }
.answer { border-left: 3px solid var(--line); padding: 2px 0 2px 14px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.answer.right { border-color: var(--good); } .answer.wrong { border-color: var(--bad); }
.verdict { font-size: 13px; font-weight: 600; margin-top: 6px; }
.right + .verdict { color: var(--good); } .wrong + .verdict { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  font-weight: 400; }
th { color: var(--muted); } td.number { text-align: right; padding-right: 0; white-space: nowrap; }
.scroll { overflow-x: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 8px 28px; font-size: 13px; color: var(--muted); margin-bottom: 14px; }
.legend span { display: inline-flex; align-items: center; gap: 8px; }
.ramp { width: 120px; height: 9px; border-radius: 5px; }
.view { display: grid; gap: 8px; margin-bottom: 22px; }
.view h3 { font-size: 14px; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.row { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 10px; }
figure { margin: 0; min-width: 0; }
.frame { position: relative; overflow: hidden; border-radius: 8px; background: var(--stage); cursor: crosshair; }
.frame img { display: block; width: 100%; height: 100%; }
.frame::before, .frame::after { content: ''; position: absolute; background: #fff; mix-blend-mode: difference;
  opacity: 0; pointer-events: none; }
.frame::before { left: 0; right: 0; top: var(--v); height: 1px; }
.frame::after { top: 0; bottom: 0; left: var(--u); width: 1px; }
.probing .frame::before, .probing .frame::after { opacity: 0.75; }
figcaption { display: flex; justify-content: space-between; gap: 8px; font-size: 13px; color: var(--muted);
  padding-top: 4px; font-variant-numeric: tabular-nums; min-height: 1.7em; }
figcaption output { color: var(--ink); white-space: nowrap; }
.two { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 32px; }
td.text { overflow-wrap: anywhere; }
code { font: 13px/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
@media (max-width: 900px) { .top, .two { grid-template-columns: minmax(0, 1fr); } .two { gap: 0; } }
@media (max-width: 640px) { .row { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  #stage canvas { aspect-ratio: 1; } }
`;
