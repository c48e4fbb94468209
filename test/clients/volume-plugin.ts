/**
 * A volume plugin of Docker's protocol, as small as a real one can be: data lie in a folder, and are bound to another one while
 * somebody has the volume mounted. It serves on a socket that it is told, and remembers what it was asked.
 */

import { mkdir, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { dirname, join } from 'node:path'
import { mount, unmount } from '#api/sys/sys.ts'

type Body = Record<string, unknown>

export class VolumePlugin implements AsyncDisposable {
  /** `Mount data1`, in the order of asking. */
  readonly asked: string[] = []
  readonly #folder: string
  readonly #server: Server
  readonly #users = new Map<string, Set<string>>()

  private constructor(folder: string) {
    this.#folder = folder
    this.#server = createServer((request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      request.on('end', async () => {
        const verb = (request.url ?? '').replace(/^\/(VolumeDriver\.)?/, '')
        const answer = await this.#answer(verb, text === '' ? {} : JSON.parse(text)).catch(error => ({
          Err: `${error.message}`,
        }))
        response.writeHead('Err' in answer && answer.Err ? 500 : 200, { 'content-type': 'application/json' })
        response.end(JSON.stringify(answer))
      })
    })
  }

  static async serve(folder: string, socket: string): Promise<VolumePlugin> {
    const plugin = new VolumePlugin(folder)
    await mkdir(dirname(socket), { recursive: true })
    await rm(socket, { force: true })
    await new Promise<void>(resolve => plugin.#server.listen(socket, resolve))
    return plugin
  }

  #data = (name: string) => join(this.#folder, 'data', name)
  #place = (name: string) => join(this.#folder, 'mounted', name)

  async #answer(verb: string, body: Body): Promise<Body> {
    const name = String(body.Name ?? '')
    if (verb !== 'List' && verb !== 'Get' && verb !== 'Capabilities') this.asked.push(`${verb} ${name}`.trim())
    if (verb === 'Plugin.Activate') return { Implements: ['VolumeDriver'] }
    if (verb === 'Capabilities') return { Capabilities: { Scope: 'global' } }
    if (verb === 'List') return { Volumes: (await this.#names()).map(Name => ({ Name })) }
    if (verb === 'Create') return this.#create(name, (body.Opts ?? {}) as Record<string, string>)
    if (!(await this.#names()).includes(name)) throw new Error(`no volume ${name}`)
    if (verb === 'Get')
      return { Volume: { Name: name, Mountpoint: this.#mountpoint(name), Status: { shelf: 'upper' } } }
    if (verb === 'Path') return { Mountpoint: this.#mountpoint(name) }
    if (verb === 'Mount') return this.#mount(name, String(body.ID))
    if (verb === 'Unmount') return this.#unmount(name, String(body.ID))
    if (verb !== 'Remove') throw new Error(`what is ${verb}?`)
    await rm(this.#data(name), { recursive: true })
    return {}
  }

  #names = (): Promise<string[]> => readdir(join(this.#folder, 'data')).catch(() => [])

  #mountpoint = (name: string): string => (this.#users.get(name)?.size ? this.#place(name) : '')

  async #create(name: string, options: Record<string, string>): Promise<Body> {
    if (options.colour) throw new Error(`no ${options.colour} volumes here`)
    await mkdir(this.#data(name), { recursive: true })
    return {}
  }

  async #mount(name: string, id: string): Promise<Body> {
    const users = this.#users.get(name) ?? new Set()
    if (users.size === 0) {
      await mkdir(this.#place(name), { recursive: true })
      await mount([{ type: 'bind', source: this.#data(name), target: '', options: ['rbind'] }], this.#place(name))
    }
    this.#users.set(name, users.add(id))
    return { Mountpoint: this.#place(name) }
  }

  async #unmount(name: string, id: string): Promise<Body> {
    const users = this.#users.get(name)
    if (!users?.delete(id)) throw new Error(`${id} has not mounted ${name}`)
    if (users.size === 0) await unmount(this.#place(name))
    return {}
  }

  /** How many have it mounted. */
  usersOf(name: string): number {
    return this.#users.get(name)?.size ?? 0
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    for (const name of this.#users.keys()) await unmount(this.#place(name))
  }
}
