/**
 * The Docker gateway over a long time: memory over many requests, and what 100 containers with health checks and 20 followers
 * cost. `node contrib/bench/docker-soak.ts [REQUESTS] [CONTAINERS] [SECONDS]`; defaults 200000, 100, 60.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Docker } from '../../test/clients/docker.ts'
import { gatewayPid } from '../../test/clients/gateway-pid.ts'
import { cpuMsOfTree } from './cpu-time.ts'

const [requests = 200_000, containers = 100, seconds = 60] = process.argv.slice(2).map(Number)
const image = 'busybox:test'
const parallel = 8
const followers = 20
const agent = new Agent({ keepAlive: true, maxSockets: parallel + followers })

await using docker = await Docker.start()
await docker.importBusybox(image)
await memoryOverRequests()
await loadAtRest()
agent.destroy()

/** PSS of gateway and core, a line for each tenth of the requests; the last should be as the third. */
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
    console.log(`${String(sent).padStart(8)}  ${pids.map(pid => mebibytesOf(pid).toFixed(1)).join('  ')}`)
  }
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
  const before = cpuMsOfTree(docker.daemon.pid)
  await sleep(seconds * 1000)
  const percent = (cpuMsOfTree(docker.daemon.pid) - before) / (seconds * 10)
  console.log(`${containers} containers with a check each second, ${followers} followers, for ${seconds} s:`)
  console.log(`${percent.toFixed(1)}% of a core, for gantryd with all its plugins`)
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
