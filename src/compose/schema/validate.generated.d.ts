/** One failure as ajv reports it. */
export interface SchemaFailure {
  readonly instancePath: string
  readonly schemaPath: string
  readonly keyword: string
  readonly params: Readonly<Record<string, unknown>>
}

/** Whether a compose file has the shape it should; failures are left in `errors`. */
declare const validate: {
  (data: unknown): boolean
  errors?: readonly SchemaFailure[] | null
}
export default validate
export { validate }
