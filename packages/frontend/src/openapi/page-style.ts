/** How the page of the API looks: nothing that must be loaded. */
export const pageStyle = `:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 20%,transparent);--tint:color-mix(in srgb,currentColor 6%,transparent)}
body{max-width:72rem;margin:0 auto;padding:1rem 1.5rem 6rem;font:16px/1.5 system-ui,sans-serif}
h1,h2,h3,h4{line-height:1.2}
h2{margin-top:3rem;border-bottom:2px solid var(--line)}
h3{margin-top:2.5rem}
h4{margin:1.5rem 0 .5rem}
code,pre{font:.9em/1.45 ui-monospace,monospace}
code{background:var(--tint);padding:.1em .3em;border-radius:.2em;overflow-wrap:anywhere}
pre{background:var(--tint);padding:.8rem 1rem;border-radius:.3rem;overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{border:1px solid var(--line);padding:.35rem .6rem;text-align:left;vertical-align:top}
th{background:var(--tint)}
nav ul,td ul{margin:0;padding-left:1.2rem}
`;
