import { expect, test } from 'vitest'
import { formatTemplate } from '../../../src/ui/template.ts'

const data = {
  Name: 'web',
  Ports: ['80', '443'],
  Labels: { b: '2', a: '1' },
  State: { Running: true, Code: 0 },
  Empty: '',
}

test.each([
  ['{{.Name}}', 'web'],
  ['{{.Name}}\\t{{.State.Code}}', 'web\t0'],
  ['{{json .Labels}}', '{"b":"2","a":"1"}'],
  ['{{json .}}', JSON.stringify(data)],
  ['{{range .Ports}}<{{.}}>{{end}}', '<80><443>'],
  ['{{range $i, $p := .Ports}}{{$i}}={{$p}} {{end}}', '0=80 1=443 '],
  ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;'],
  ['{{if .Empty}}a{{else if .State.Running}}b{{else}}c{{end}}', 'b'],
  ['{{if and .Name .State.Running}}yes{{end}}', 'yes'],
  ['{{with .State}}{{.Code}}{{end}}', '0'],
  ['{{join .Ports "," | upper}}', '80,443'],
  ['{{printf "%-6s|%d" .Name 3}}', 'web   |3'],
  ['{{index .Labels "a"}} {{index .Ports 1}}', '1 443'],
  ['{{len .Ports}} {{eq .Name "web"}} {{not .Empty}}', '2 true true'],
  ['a {{- " b " -}} c', 'a b c'],
  ['{{.Labels}} {{.Ports}}', 'map[a:1 b:2] [80 443]'],
  ['{{truncate .Name 2}}{{pad "x" 1 2}}.', 'we x  .'],
  ['{{(index .Ports 0) | printf "%q"}}', '"80"'],
])('%s', (template, expected) => {
  expect(formatTemplate(template, data)).toBe(expected)
})

test.each([
  ['{{.Nam}}', /can't evaluate field Nam/],
  ['{{if .Name}}x', /unexpected EOF/],
  ['{{.Name', /unclosed action/],
  ['{{nope .Name}}', /function "nope" not defined/],
  ['{{end}}', /unexpected \{\{end\}\}/],
])('%s is refused', (template, message) => {
  expect(() => formatTemplate(template, data)).toThrow(message)
})
