/** The resident process of a state root; started by us, never by people. @returns its exit code */
export async function runAgent(args: readonly string[]): Promise<number> {
  const { agentMain } = await import('../../agent/main.ts')
  return agentMain(args, process.env)
}
