/**
 * The Docker gateway over a long time: memory over many requests, and what 100 containers with health checks and 20 followers
 * cost. `GANTRY_TEST_BUILT=1 node contrib/bench/docker-soak.ts [REQUESTS] [CONTAINERS] [SECONDS]`; defaults 200000, 100, 60.
 * Run from source, memory is that of Node's defaults: the limits are the launchers' (docs/memory.md).
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Docker } from '../../test/clients/docker.ts'
import { gatewayPid } from '../../test/clients/gateway-pid.ts'
import { cpuMsOfProcess, cpuMsOfTree } from './cpu-time.ts'

const [requests = 200_000, containers = 100, seconds = 60] = process.argv.slice(2).map(Number)
const image = 'busybox:test'
const parallel = 8
const followers = 20
/** Ten seconds after the last request a process gives back what it can (api/memory). */
const settledMs = 15_000
const agent = new Agent({ keepAlive: true, maxSockets: parallel + followers })

await using docker = await Docker.start()
await docker.importBusybox(image)
await memoryOverRequests()
await loadAtRest()
agent.destroy()

/** PSS of gateway and core, a line for each tenth of the requests; the last should be as the third; and one when it has settled. */
async function memoryOverRequests(): Promise<void> {
  console.log(`memory over ${requests} requests (MiB: gateway, gantryd)`)
  const pids = [await gatewayPid(docker), docker.daemon.pid]
  let sent = 0
  const step = Math.ceil(requests / 10)
  for (let part = 0; part < 10 && sent < requests; part++) {
    const until = Math.min(requests, sent + step)
    await Promise.all(
      Array.from({ length: parallel }, async () => {
        while (sent < until) await oneOf(sent++)
      }),
    )
    tellMemory(sent, pids)
  }
  await sleep(settledMs)
  tellMemory(sent, pids)
}

function tellMemory(sent: number, pids: readonly number[]): void {
  console.log(`${String(sent).padStart(8)}  ${pids.map(pid => mebibytesOf(pid).toFixed(1)).join('  ')}`)
}

/** What clients ask for all day: mostly reads, and now and then a container that comes and goes. */
async function oneOf(number: number): Promise<void> {
  if (number % 50 === 0) {
    const { Id } = JSON.parse(await call('POST', '/containers/create', { Image: image, Cmd: ['true'] }))
    await call('GET', `/containers/${Id}/json`)
    await call('DELETE', `/containers/${Id}`)
    return
  }
  const paths = [
    '/containers/json?all=1',
    '/images/json',
    '/networks',
    '/volumes',
    '/version',
    '/containers/nosuch/json',
  ]
  await call('GET', paths[number % paths.length] ?? '/_ping')
}

/** Processor time of gateway and core while health checks run each second and clients follow logs and events. */
async function loadAtRest(): Promise<void> {
  const ids: string[] = []
  const check = { Test: ['CMD', 'true'], Interval: 1e9, Timeout: 30e9 }
  for (let at = 0; at < containers; at++) {
    const body = { Image: image, Cmd: ['sleep', '100000'], Healthcheck: check, HostConfig: { NetworkMode: 'none' } }
    const { Id } = JSON.parse(await call('POST', '/containers/create', body))
    await call('POST', `/containers/${Id}/start`)
    ids.push(Id)
  }
  for (let at = 0; at < followers; at++)
    follow(at % 2 === 0 ? '/events' : `/containers/${ids[at % ids.length]}/logs?follow=1&stdout=1`)
  await sleep(5000)
  const [gateway, shims] = [await gatewayPid(docker), shimPids()]
  const groups: [string, () => number][] = [
    ['gantryd with all its plugins', () => cpuMsOfTree(docker.daemon.pid)],
    ['of it, the gateway', () => cpuMsOfProcess(gateway)],
    [`${shims.length} shims, with the probes they ran`, () => sum(shims.map(cpuMsOfProcess))],
  ]
  const before = groups.map(([, cpuMs]) => cpuMs())
  await sleep(seconds * 1000)
  console.log(`${containers} containers with a check each second, ${followers} followers, for ${seconds} s:`)
  for (const [at, [name, cpuMs]] of groups.entries()) {
    const percent = (cpuMs() - (before[at] ?? 0)) / (seconds * 10)
    console.log(`${percent.toFixed(1).padStart(6)}% of a core: ${name}`)
  }
  console.log(`${(sum(shims.map(mebibytesOf)) / shims.length).toFixed(2)} MiB for each shim`)
}

/** Those of this daemon: each works in a bundle of it. */
function shimPids(): number[] {
  const bundles = join(docker.daemon.state, 'io.containerd.runtime.v2.task')
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => pid > 0 && folderOf(pid).startsWith(bundles))
}

function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0)
}

function call(method: string, path: string, body?: unknown): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const text = body === undefined ? '' : JSON.stringify(body)
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
  const sent = request({ socketPath: docker.socket, agent, method, path, headers }, response => {
    let answer = ''
    response.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    response.on('end', () => resolve(answer))
  })
  sent.on('error', reject)
  sent.end(text)
  return promise
}

function follow(path: string): void {
  const sent = request({ socketPath: docker.socket, agent, path }, response => response.resume())
  sent.on('error', () => {})
  sent.end()
}

/** proc_pid_smaps(5): shared pages are divided among those who have them. */
function mebibytesOf(pid: number): number {
  const [, kibibytes = '0'] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
  return Number(kibibytes) / 1024
}
