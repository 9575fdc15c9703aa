import type { JsonObject } from '../exchange.ts'
import { badRequest } from '../http-error.ts'

/** Reading JSON that a client sent: null and absent are the same, another type is refused by name. */

export function text(from: JsonObject, name: string): string | undefined {
  const value = from[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw wrong(name, 'a string')
  return value === '' ? undefined : value
}

export function whole(from: JsonObject, name: string): number | undefined {
  const value = from[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong(name, 'a whole number')
  return value
}

export function bool(from: JsonObject, name: string): boolean {
  const value = from[name]
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw wrong(name, 'true or false')
  return value
}

export function strings(from: JsonObject, name: string): readonly string[] | undefined {
  const value = from[name]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) throw wrong(name, 'a list of strings')
  return value as string[]
}

/** Absent: empty. */
export function object(from: JsonObject, name: string): JsonObject {
  const value = from[name]
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw wrong(name, 'an object')
  return value as JsonObject
}

export function list(from: JsonObject, name: string): readonly JsonObject[] | undefined {
  const value = from[name]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'object' || one === null)) {
    throw wrong(name, 'a list of objects')
  }
  return value as JsonObject[]
}

export function map(from: JsonObject, name: string): Readonly<Record<string, string>> | undefined {
  const value = from[name]
  if (value === undefined || value === null) return undefined
  const entries = Object.entries(object(from, name))
  if (entries.some(([, one]) => typeof one !== 'string')) throw wrong(name, 'an object of strings')
  return Object.fromEntries(entries) as Record<string, string>
}

function wrong(name: string, wanted: string): Error {
  return badRequest(`invalid JSON: ${name} must be ${wanted}`)
}
