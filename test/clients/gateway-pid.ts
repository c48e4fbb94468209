import type { Docker } from './docker.ts'

/** Of the gateway's process; 0 while there is none. */
export async function gatewayPid(docker: Docker): Promise<number> {
  const { stdout } = await docker.daemon.run('--format', 'json', 'plugins', 'ls')
  const rows = JSON.parse(stdout || '[]') as { kind: string; id: string; pid: number }[]
  return rows.find(({ kind, id }) => kind === 'gateway' && id === 'docker')?.pid ?? 0
}
