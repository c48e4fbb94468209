/** Volumes in Docker's form. */
import { HttpError } from '../http/http-error.ts'
import type { DriverVolume } from './driver.ts'
import type { VolumeRecord } from './volume-record.ts'
import type { Volumes } from './volumes.ts'

/** Of a volume whose driver cannot be asked, what the record says. */
export async function describeVolume(volumes: Volumes, record: VolumeRecord): Promise<object> {
  const told = await volumes.describe(record).catch(error => {
    if (error instanceof HttpError) return undefined
    throw error
  })
  return volumeJson(record, told ?? { name: record.name, mountpoint: '', createdAt: '' }, told?.scope ?? 'local')
}

export function volumeJson(record: VolumeRecord, told: DriverVolume, scope: string): object {
  return {
    CreatedAt: told.createdAt || record.createdAt,
    Driver: record.driver,
    Labels: record.labels,
    Mountpoint: told.mountpoint,
    Name: record.name,
    Options: record.options,
    Scope: scope,
  }
}
