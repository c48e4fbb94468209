/** Gives each log the carrier that its driver names, for as long as lines come. */
import type { LogLine, LogSink, LogSource } from '#sdk/define-log-sink.ts'
import { DockerPlugins } from '#sdk/docker-plugins/plugins.ts'
import { type Carrier, type Identity, identify } from './carrier.ts'
import { openPluginCarrier } from './docker-plugins/plugin-carrier.ts'
import { openFluentd } from './fluentd/fluentd.ts'
import { openGelf } from './gelf/gelf.ts'
import { openJournald } from './journald/journald.ts'
import { Pieces } from './pieces.ts'
import type { Config } from './standard.ts'
import { openSyslog } from './syslog/syslog.ts'

export interface DriverPlace {
  readonly config: Config
  /** Volatile folder of ours. */
  readonly state: string
  readonly plugins: DockerPlugins
}

type Open = (identity: Identity, place: DriverPlace) => Promise<Carrier>

const drivers: Readonly<Record<string, Open>> = {
  syslog: openSyslog,
  gelf: openGelf,
  fluentd: openFluentd,
  journald: openJournald,
}

interface Way {
  readonly carrier: Promise<Carrier>
  readonly pieces: Pieces
}

export class LogDrivers implements LogSink {
  readonly #place: DriverPlace
  readonly #ways = new Map<string, Way>()

  constructor(place: Omit<DriverPlace, 'plugins'>) {
    this.#place = { ...place, plugins: new DockerPlugins(place.config.docker_plugin_folders) }
  }

  async write(lines: readonly LogLine[], source: LogSource): Promise<void> {
    const { carrier, pieces } = this.#wayOf(source)
    // Numbered once: lines that come again have been given to the same carrier.
    await (await carrier).send(pieces.number(lines))
  }

  async rest(source: LogSource): Promise<void> {
    const way = this.#ways.get(keyOf(source))
    this.#ways.delete(keyOf(source))
    await (await way?.carrier.catch(() => undefined))?.close()
  }

  async close(): Promise<void> {
    const ways = [...this.#ways.values()]
    this.#ways.clear()
    await Promise.all(ways.map(async ({ carrier }) => (await carrier.catch(() => undefined))?.close()))
    await this.#place.plugins[Symbol.asyncDispose]()
  }

  #wayOf(source: LogSource): Way {
    const key = keyOf(source)
    const known = this.#ways.get(key)
    if (known) return known
    const open = drivers[source.driver] ?? openPluginCarrier
    const way = { carrier: open(identify(source), this.#place), pieces: new Pieces() }
    this.#ways.set(key, way)
    // One that could not be opened is opened anew with the next lines.
    way.carrier.catch(() => this.#ways.delete(key))
    return way
  }
}

const keyOf = ({ namespace, container }: LogSource) => `${namespace}/${container}`
