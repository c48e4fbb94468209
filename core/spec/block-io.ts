/** Limits on block devices (config-linux.md, Block IO), which the spec names by number and people by path. */
import { stat } from 'node:fs/promises'
import { invalidArgument } from '#api/errors/errors.ts'
import { splitDeviceNumber } from './devices.ts'
import type { SpecBlockIo } from './runtime-spec.ts'

interface DeviceLimit {
  path: string
  value: bigint
}

export interface BlockIoWish {
  blkioWeight: number
  blkioWeightDevices: readonly DeviceLimit[]
  readBps: readonly DeviceLimit[]
  writeBps: readonly DeviceLimit[]
  readIops: readonly DeviceLimit[]
  writeIops: readonly DeviceLimit[]
}

/** Undefined: no limit. INVALID_ARGUMENT names a path that is no block device of this host, and a weight out of range. */
export async function composeBlockIo(wish: BlockIoWish | undefined): Promise<SpecBlockIo | undefined> {
  if (!wish) return undefined
  checkWeight(wish.blkioWeight, 'blkio_weight', true)
  const weights = await Promise.all(wish.blkioWeightDevices.map(weightOf))
  const [readBps, writeBps, readIops, writeIops] = await Promise.all(
    [wish.readBps, wish.writeBps, wish.readIops, wish.writeIops].map(limits => Promise.all(limits.map(rateOf))),
  )
  const io: SpecBlockIo = {
    ...(wish.blkioWeight > 0 && { weight: wish.blkioWeight }),
    ...(weights.length > 0 && { weightDevice: weights }),
    ...(readBps?.length && { throttleReadBpsDevice: readBps }),
    ...(writeBps?.length && { throttleWriteBpsDevice: writeBps }),
    ...(readIops?.length && { throttleReadIOPSDevice: readIops }),
    ...(writeIops?.length && { throttleWriteIOPSDevice: writeIops }),
  }
  return Object.keys(io).length === 0 ? undefined : io
}

async function weightOf({ path, value }: DeviceLimit) {
  checkWeight(Number(value), `blkio_weight_devices of "${path}"`, false)
  return { ...(await numbersOf(path)), weight: Number(value) }
}

async function rateOf({ path, value }: DeviceLimit) {
  return { ...(await numbersOf(path)), rate: Number(value) }
}

async function numbersOf(path: string): Promise<{ major: number; minor: number }> {
  const info = await stat(path).catch(() => undefined)
  if (!info?.isBlockDevice()) throw invalidArgument(`"${path}" is no block device of this host`)
  return splitDeviceNumber(info.rdev)
}

function checkWeight(weight: number, field: string, mayBeZero: boolean): void {
  if (mayBeZero && weight === 0) return
  if (weight < 10 || weight > 1000) throw invalidArgument(`${field} ${weight} is not between 10 and 1000`)
}
