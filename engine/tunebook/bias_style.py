"""How a bias report looks as a page: light and dark, wide and narrow, on paper too."""

from __future__ import annotations

#: Blue and orange of Okabe and Ito (2008), which people with any kind of colour vision tell apart.
STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1b1f24; --soft: #5f6873; --line: #d9dde2; --band: #f6f7f8;
  --tuned: #0072b2; --base: #707882; --alert: #b34700; --heat: 0, 114, 178 }
@media (prefers-color-scheme: dark) { :root { --page: #111214; --ink: #e8eaed; --soft: #9aa2ac; --line: #33373d;
  --band: #1a1c20; --tuned: #56b4e9; --base: #9aa2ac; --alert: #e69f00; --heat: 86, 180, 233 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.1rem; margin: 0 } h3 { font-size: .9rem; margin: 0 0 .5rem }
p { margin: .4rem 0 } .soft, small { color: var(--soft) } small { font-size: .8rem; white-space: nowrap }
.headline { font-size: 1.05rem; border-left: 4px solid var(--tuned); padding: .2rem 0 .2rem .8rem; margin: 1rem 0 }
.headline.worse { border-color: var(--alert) }
section { border: 1px solid var(--line); border-radius: 6px; margin: 1.2rem 0; overflow: hidden }
section > header { background: var(--band); border-bottom: 1px solid var(--line); padding: .55rem .9rem; display: flex;
  flex-wrap: wrap; gap: .2rem .8rem; align-items: baseline }
section > div, section > details { padding: .8rem .9rem }
section > * + details { border-top: 1px solid var(--line) }
.tag { border: 1px solid var(--line); border-radius: 9px; color: var(--soft); font-size: .75rem; padding: 0 .5rem;
  white-space: nowrap }
.said { margin: 0; padding: 0 0 0 1.1rem } .said li { margin: .3rem 0 }
.remarks { color: var(--soft); font-size: .88rem }
.panels { display: grid; gap: 1.2rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)) }
.panels.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 18.5rem), 1fr)) }
table { border-collapse: collapse; width: 100% } caption { text-align: left; font-weight: 600; padding-bottom: .3rem }
th { color: var(--soft); font-weight: 400; font-size: .85rem; text-align: right; vertical-align: bottom }
thead th { white-space: nowrap } tbody th { vertical-align: middle }
th, td { padding: .28rem .45rem } tbody th { color: var(--ink); font-size: 1em }
th:first-child, th.left, td.left { text-align: left } td { text-align: right; white-space: nowrap }
.figures tbody tr { border-top: 1px solid var(--line) } .wide { overflow-x: auto }
.figures tbody th { min-width: 7rem } td.left { white-space: normal; min-width: 9rem } td.text { min-width: 16rem }
.small { color: var(--soft); opacity: .75 } .clear { color: var(--alert); font-weight: 600 }
.dots { table-layout: fixed } .dots td, .dots th { padding: .16rem .3rem }
.dots th { width: 30%; text-align: left; line-height: 1.25 } .dots .n { width: 3.6rem } .dots .value { width: 2.9rem }
.track { position: relative; height: 1.25rem;
  background: linear-gradient(var(--line), var(--line)) 0 50% / 100% 1px no-repeat }
.track i { position: absolute; top: 50%; border-radius: 50% } .axis { position: relative; height: 1.1rem }
.axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; color: var(--soft);
  font-size: .75rem }
.track .range { height: 3px; margin-top: -1.5px; border-radius: 2px; background: var(--tuned) }
.track .range.base { height: 1px; margin-top: -.5px; background: none; border-top: 1px dashed var(--base) }
.track .dot { width: 11px; height: 11px; margin: -5.5px 0 0 -5.5px; background: var(--tuned) }
.track .dot.base { background: var(--page); border: 2px solid var(--base) }
.small .track .range, .small .track .dot { background: var(--soft) }
.small .track .dot.base { background: var(--page); border-color: var(--soft) }
.small .track .range.base { background: none }
.track .way { height: 2px; margin-top: -1px; background: var(--tuned); border-radius: 0 }
.track .tip { border: 5px solid transparent; border-radius: 0; width: 0; height: 0; margin-top: -5px }
.track .tip.up { border-left: 8px solid var(--alert); border-right: 0; margin-left: -8px }
.track .tip.down { border-right: 8px solid var(--tuned); border-left: 0 }
.track .way.up { background: var(--alert) }
.legend { color: var(--soft); font-size: .85rem; margin: 0 }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 50%; background: var(--tuned) }
.legend i.base { background: none; border: 2px solid var(--base) }
.heat td { text-align: center; border: 2px solid var(--page); min-width: 4.2rem;
  background: rgba(var(--heat), var(--a)) }
.heat th { text-align: center } .heat th:first-child { text-align: left } .heat small { color: inherit; opacity: .8 }
.heat td.none { background: none; color: var(--soft) }
.heat td.small { border-style: dashed; border-color: var(--line); background: none }
.number { display: inline-block; min-width: 1.25rem; padding: 0 .3rem; border-radius: .65rem; text-align: center;
  font-size: .75rem; font-weight: 600; line-height: 1.25rem; background: var(--base); color: var(--page) }
.front { max-width: 44rem } .front .right { text-align: right; margin-top: 0 }
.frame { padding-left: 2.6rem; position: relative } .plane { position: relative; height: 17rem }
.plane > * { position: absolute } .up { position: absolute; left: 0; bottom: 1.1rem; height: 17rem; width: 2.3rem }
.up span { position: absolute; right: 0; transform: translateY(50%); color: var(--soft); font-size: .75rem }
.plane .rule { left: 0; right: 0; height: 1px; background: var(--line) }
.plane .level { height: 2px; margin-bottom: -1px; background: var(--base); opacity: .3 }
.plane .upright { width: 2px; margin-left: -1px; background: var(--base); opacity: .3 }
.plane .stair { height: 2px; margin-bottom: -1px; background: var(--tuned) }
.plane .stair.rise { width: 2px; height: auto; margin: 0 0 0 -1px }
.plane .at { transform: translate(-50%, 50%); white-space: nowrap; box-shadow: 0 0 0 2px var(--page) }
.plane .best { background: var(--tuned) } .plane .tuned { background: var(--alert) }
details > summary { cursor: pointer; color: var(--soft) } details[open] > summary { margin-bottom: .6rem }
.paper { background: #fff; color: #1b1f24; border-radius: 4px; padding: .5rem; overflow-x: auto }
.paper img { display: block; min-width: 34rem; max-width: 100%; height: auto } .paper td { white-space: normal }
@media (max-width: 34rem) { body { font-size: 14px; padding: 1rem .6rem 3rem } .dots th { width: 34% }
  .dots .n { display: none } .changes td { white-space: normal; width: 24% } .changes td:nth-child(2) { width: 42% }
  .changes small { white-space: normal } }
@media print { section { break-inside: avoid-page } body { max-width: none } }
"""
