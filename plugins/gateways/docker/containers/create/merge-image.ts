/** The client's configuration completed by the image's: what `docker inspect` shows as Config. */

import type { ImageRuntimeConfig } from '../../engine/images.ts'
import { badRequest } from '../../http/http-error.ts'
import type { Config } from './body.ts'

/** A new configuration. 400 when neither says what to run. */
export function mergeImage(wish: Config, image: ImageRuntimeConfig): Config {
  const merged: Config = {
    ...wish,
    ...mergeCommand(wish, image),
    User: wish.User || (image.User ?? ''),
    Env: mergeEnv(wish.Env ?? [], image.Env ?? []),
    ExposedPorts: union(image.ExposedPorts, wish.ExposedPorts),
    Volumes: union(image.Volumes, wish.Volumes),
    WorkingDir: wish.WorkingDir || (image.WorkingDir ?? ''),
    Labels: { ...image.Labels, ...wish.Labels },
    StopSignal: wish.StopSignal || (image.StopSignal ?? ''),
    Shell: wish.Shell ?? image.Shell ?? null,
    Healthcheck: mergeHealth(wish.Healthcheck, image),
  }
  if ((merged.Entrypoint?.length ?? 0) + (merged.Cmd?.length ?? 0) === 0) throw badRequest('no command specified')
  return merged
}

/** A new entrypoint drops the image's command, which was meant for the image's own. */
function mergeCommand(wish: Config, image: ImageRuntimeConfig): Pick<Config, 'Cmd' | 'Entrypoint'> {
  const { Cmd, Entrypoint } = wish
  if ((Entrypoint?.length ?? 0) > 0) return { Cmd, Entrypoint: Entrypoint?.join('') === '' ? null : Entrypoint }
  const isBare = (Cmd?.length ?? 0) === 0
  return { Cmd: isBare ? (image.Cmd ?? null) : Cmd, Entrypoint: Entrypoint ?? image.Entrypoint ?? null }
}

const nameOf = (entry: string) => entry.split('=', 1)[0] ?? ''

function mergeEnv(wish: readonly string[], image: readonly string[]): string[] {
  const named = new Set(wish.map(nameOf))
  return [...wish, ...image.filter(entry => !named.has(nameOf(entry)))]
}

function union(image: Record<string, object> | undefined, wish: Record<string, object> | null) {
  const keys = [...new Set([...Object.keys(image ?? {}), ...Object.keys(wish ?? {})])]
  return keys.length === 0 ? null : Object.fromEntries(keys.sort().map(key => [key, {}]))
}

function mergeHealth(wish: Config['Healthcheck'], { Healthcheck: image }: ImageRuntimeConfig): Config['Healthcheck'] {
  if (!image && !wish) return undefined
  const or = (name: 'Interval' | 'Timeout' | 'StartPeriod' | 'StartInterval' | 'Retries') =>
    wish?.[name] || (image?.[name] ?? 0)
  return {
    Test: (wish?.Test?.length ?? 0) > 0 ? (wish?.Test ?? null) : (image?.Test ?? null),
    Interval: or('Interval'),
    Timeout: or('Timeout'),
    StartPeriod: or('StartPeriod'),
    StartInterval: or('StartInterval'),
    Retries: or('Retries'),
  }
}
