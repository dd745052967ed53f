"""Page: the OpenAPI description for people, one page without any outside request, with a form to try a picture."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from photovision.core.identity import head, icon_address

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_STYLE = """
body { max-width: 58rem; margin: 0 auto; padding: var(--gap-5) var(--gap-4) var(--gap-6); }
h1, h2 { line-height: 1.2; } h1 { display: flex; align-items: center; gap: var(--gap-3); font-size: var(--text-title); }
h2 { margin-top: var(--gap-6); } a { color: var(--accent); }
details { background: var(--sheet); border: 1px solid var(--line); border-radius: var(--round); margin: var(--gap-2) 0;
  padding: var(--gap-2) var(--gap-3); }
summary { cursor: pointer; }
code, pre { font: .9em var(--mono); } pre { background: var(--sunk); padding: var(--gap-3); overflow: auto;
  border-radius: var(--round-small); }
.verb { display: inline-block; min-width: 3.5rem; font-weight: 700; color: var(--accent); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .2rem .75rem
  .2rem 0; border-bottom: 1px solid var(--line); }
form { display: flex; flex-wrap: wrap; gap: var(--gap-3); align-items: end; } label { display: grid; gap: .2rem; }
input, button, select { font: inherit; color: inherit; background: var(--sheet); border: 1px solid var(--line);
  border-radius: var(--round-small); padding: .35rem .6rem; max-width: 100%; } img, canvas { max-width: 100%; }
button { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
"""
_SCRIPT = """
const form = document.querySelector('form'), out = document.querySelector('output');
async function drawn(file, boxes) {
  const picture = await createImageBitmap(file), canvas = document.createElement('canvas');
  canvas.width = picture.width; canvas.height = picture.height;
  canvas.role = 'img'; canvas.ariaLabel = `${file.name} with ${boxes.length} boxes`;
  const pen = canvas.getContext('2d'), size = Math.max(12, Math.round(Math.max(picture.width, picture.height) / 50));
  pen.drawImage(picture, 0, 0);
  pen.font = `${size}px system-ui`; pen.lineWidth = Math.max(2, Math.round(size / 8)); pen.textBaseline = 'bottom';
  for (const { label, score, xyxy: [left, top, right, bottom] } of boxes) {
    const caption = `${label} ${score.toFixed(2)}`, above = Math.max(top, 1.3 * size);
    pen.strokeStyle = pen.fillStyle = '#ffd60a';
    pen.strokeRect(left, top, right - left, bottom - top);
    pen.fillRect(left, above - 1.3 * size, pen.measureText(caption).width + size / 2, 1.3 * size);
    pen.fillStyle = '#000';
    pen.fillText(caption, left + size / 4, above);
  }
  return canvas;
}
form.addEventListener('submit', async event => {
  event.preventDefault();
  const options = form.elements.options.value.trim(), key = form.elements.key.value, body = new FormData();
  const files = [...form.elements.file.files];
  let route = form.elements.route.value;
  if (options) route += (route.includes('?') ? '&' : '?') + options;
  for (const file of files) body.append('file', file);
  out.textContent = 'Waiting for the answer';
  try {
    const answer = await fetch(route, { method: 'POST', body, headers: key ? { 'X-API-Key': key } : {} });
    if (answer.headers.get('content-type') === 'image/png') {
      const picture = document.createElement('img');
      picture.src = URL.createObjectURL(await answer.blob());
      picture.alt = 'Heatmap over the picture';
      out.replaceChildren(picture);
    } else {
      const text = document.createElement('pre'), reply = await answer.json();
      text.textContent = answer.status + '\\n' + JSON.stringify(reply, null, 2);
      out.replaceChildren(text);
      const found = (reply.predictions || []).map((one, place) => one.boxes && drawn(files[place], one.boxes));
      out.prepend(...(await Promise.all(found)).filter(Boolean));
    }
  } catch (error) { out.textContent = 'No answer: ' + error.message; }
});
"""


def page(described: dict[str, Any]) -> HTMLResponse:
    """The page for an OpenAPI description."""
    operations = "".join(
        _operation(path, verb, operation)
        for path, verbs in described["paths"].items()
        for verb, operation in verbs.items()
    )
    answers = "".join(_schema(name, schema) for name, schema in described.get("components", {})["schemas"].items())
    title = escape(described["info"]["title"])
    body = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: interface</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head()}<style>{_STYLE}</style></head>
<body><main><h1><img src="{icon_address()}" alt="" width="36" height="36">
{title} {escape(described["info"]["version"])}</h1><p>{escape(described["info"]["description"])}</p>
<p>For programs: <a href="openapi.json">openapi.json</a>, <a href="metrics">metrics</a>.</p>
<h2>Try it</h2><form>
<label>Pictures <input type="file" name="file" accept="image/*" multiple required></label>
<label>Route <select name="route"><option value="predict">predict</option><option value="explain">explain</option>
<option value="explain?format=png">explain, as a picture</option></select></label>
<label>Options <input name="options" placeholder="model=NAME&amp;threshold=0.4" spellcheck="false"></label>
<label>Key, where one is needed <input type="password" name="key" autocomplete="off"></label>
<button>Send</button></form><output></output>
<pre>curl -F file=@picture.jpg http://HOST/predict
curl -H 'Content-Type: image/jpeg' --data-binary @picture.jpg http://HOST/predict</pre>
<h2>Routes</h2>{operations}
<h2>Answers</h2>{answers}</main><script>{_SCRIPT}</script></body></html>"""
    return HTMLResponse(
        body,
        headers={
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        },
    )


def _operation(path: str, verb: str, operation: dict[str, Any]) -> str:
    given = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", ())
    )
    takes = ", ".join(operation.get("requestBody", {}).get("content", {}))
    answers = "".join(
        f"<tr><td><code>{escape(str(status))}</code></td><td>{escape(one.get('description', ''))}</td></tr>"
        for status, one in operation.get("responses", {}).items()
    )
    reply = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {}).get("schema")
    parts = [
        f"<p>{escape(operation['description'])}</p>" if operation.get("description") else "",
        f"<p>Takes {escape(takes)}.</p>" if takes else "",
        f"<p>Answers with {_type(reply)}.</p>" if reply else "",
        f"<table><tr><th>Parameter</th><th>In</th><th>Meaning</th></tr>{given}</table>" if given else "",
        f"<table><tr><th>Status</th><th>Meaning</th></tr>{answers}</table>",
    ]
    head = f'<span class="verb">{escape(verb.upper())}</span> <code>{escape(path)}</code> '
    return f"<details><summary>{head}{escape(operation.get('summary', ''))}</summary>{''.join(parts)}</details>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    """An answer, field by field."""
    needed = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_type(one)}{'' if field in needed else ', may be absent'}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for field, one in schema.get("properties", {}).items()
    )
    head = f"<summary><code>{escape(name)}</code> {escape(schema.get('description', ''))}</summary>"
    # A browser opens what is closed around the place that a link leads to.
    table = f'<table id="{escape(name)}"><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>{rows}</table>'
    return f"<details>{head}{table}</details>"


def _type(schema: dict[str, Any]) -> str:
    """What a value may be, as HTML with links to other answers."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("type", "anything")))
