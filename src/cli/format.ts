import { humanDuration } from '../base/duration.ts'
import { formatTable } from '../ui/table.ts'
import { compileTemplate, formatTemplate, type TemplateData } from '../ui/template.ts'

/** `5 minutes ago` */
export function ago(time: string, nowMs: number): string {
  return `${humanDuration(Math.max(0, nowMs - Date.parse(time)))} ago`
}

/**
 * Rows as `--format` asks: `table` with the given columns, `json` (an object per line), a Go template per row, or
 * `table TEMPLATE`, whose columns are parted by `\t` and titled by the field names.
 */
export function formatRows(
  format: string,
  columns: readonly (readonly [title: string, field: string])[],
  rows: readonly TemplateData[],
): string {
  if (format === 'table' || format === '') {
    return formatTable(
      columns.map(([title]) => title),
      rows.map((row) => columns.map(([, field]) => String(row[field] ?? ''))),
    )
  }
  if (format === 'json') return rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  if (format.startsWith('table ')) {
    const template = unescapeText(format.slice('table '.length))
    const titles = template.replace(/\{\{\s*\.?([\w.]+)[^}]*\}\}/g, (_whole, field: string) => {
      const known = columns.find(([, one]) => one === field)
      return known ? known[0] : title(field)
    })
    const one = compileTemplate(template)
    return formatTable(
      titles.split('\t'),
      rows.map((row) => one(row).split('\t')),
    )
  }
  return rows.map((row) => `${formatTemplate(format, row)}\n`).join('')
}

function unescapeText(text: string): string {
  return text.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
}

function title(field: string): string {
  return field.replace(/([a-z])([A-Z])/g, '$1 $2').toUpperCase()
}
