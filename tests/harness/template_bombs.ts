/** Chat templates that never end, or fill the memory, although each is short. All fail where templates are bounded. */
export const JINJA_BOMBS: Readonly<Record<string, string>> = {
  "doubled text":
    `{% set n = namespace(s="x") %}{% for i in range(28) %}{% set n.s = n.s + n.s %}{% endfor %}` +
    `{{ n.s | upper }}`,
  "doubled text, many times":
    `{% set n = namespace(s="x") %}{% for i in range(24) %}{% set n.s = n.s + n.s %}{% endfor %}` +
    `{% for i in range(9999) %}{% set t = n.s | upper %}{% endfor %}`,
  "empty nested loops":
    `{% set r = range(10000) %}{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}`,
  "doubled list":
    `{% set n = namespace(l=[1]) %}{% for i in range(40) %}{% set n.l = n.l + n.l %}{% endfor %}`,
  "list of lists":
    `{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = n.l + [range(10000)] %}{% endfor %}`,
  "joined list":
    `{% set n = namespace(s="x") %}{% for i in range(16) %}{% set n.s = n.s + n.s %}{% endfor %}` +
    `{{ range(10000) | join(n.s) }}`,
  "replaced letters":
    `{% set n = namespace(s="x") %}{% for i in range(20) %}{% set n.s = n.s | replace("x", "xxxx") %}{% endfor %}{{ n.s }}`,
  "macro that calls itself twice":
    `{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}`,
  "split text":
    `{% set n = namespace(s="x ") %}{% for i in range(25) %}{% set n.s = n.s + n.s %}{% endfor %}` +
    `{{ n.s.split(" ") | length }}`,
  "JSON of doubled lists":
    `{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l | tojson }}`,
  "sorted again and again":
    `{% set n = namespace(l=range(10000)) %}{% for i in range(7) %}{% set n.l = n.l + n.l %}{% endfor %}` +
    `{% for i in range(9999) %}{% set s = n.l | sort %}{% endfor %}`,
  "printed without end":
    `{% set n = namespace(s="x") %}{% for i in range(20) %}{% set n.s = n.s + n.s %}{% endfor %}` +
    `{% for i in range(9999) %}{{ n.s }}{% endfor %}`,
};

/** Doubles `$s`, `times` times. */
function doubled(times: number, start = `"xxxxxxxx"`): string {
  return `{{ $s := ${start} }}` + `{{ $s = print $s $s }}`.repeat(times);
}

/** The same as Go templates, as a request may bring them. */
export const GO_BOMBS: Readonly<Record<string, string>> = {
  "bytes of a doubled text": `${doubled(24)}{{ index $s 5 }}`,
  "length of a doubled text": `${doubled(24)}{{ range $i, $c := .Messages }}{{ end }}{{ len $s }}`,
  "escaped doubled text": `${doubled(22, '"<&>"')}{{ html $s }}`,
  "quoted doubled text": `${doubled(23)}{{ printf "%q" $s }}`,
  "doubled text printed": `${doubled(23)}{{ $s }}{{ $s }}`,
  "escaped again and again": `${doubled(20, '"<"')}${"{{ $s = html $s }}".repeat(9)}{{ $s }}`,
  "script escaped": `${doubled(23, '"<"')}{{ js $s }}`,
  "slices of a doubled text": `${
    doubled(24)
  }{{ range slice $s 1 }}{{ end }}{{ slice $s 1 5 }}{{ urlquery $s }}`,
};
