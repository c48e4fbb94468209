/** Versions of the Docker Engine API: what a path asks for, and what is served. */
import { badRequest } from './http-error.ts'

/** "MAJOR.MINOR", as in `/v1.51/info`. */
export type ApiVersion = `${number}.${number}`

/** Older clients are refused by the newest engines too; we take them all. */
export const oldestVersion: ApiVersion = '1.24'
/** The newest published description of the API. */
export const newestVersion: ApiVersion = '1.56'

const prefix = /^\/v([0-9.]+)(\/.*)$/

/** Splits `/v1.51/info?x` into version text and `/info?x`; a path without a version is left as it is. */
export function splitVersion(url: string): { version: string | undefined; url: string } {
  const [, version, rest] = prefix.exec(url) ?? []
  return rest === undefined ? { version: undefined, url } : { version, url: rest }
}

/** 400 in Docker's words, with the range, for a version that is not served or none at all. */
export function checkVersion(text: string): ApiVersion {
  if (!/^\d+\.\d+$/.test(text))
    throw badRequest(`invalid API version "${text}": versions ${oldestVersion} to ${newestVersion} are served`)
  const version = text as ApiVersion
  if (compareVersions(version, oldestVersion) < 0)
    throw badRequest(
      `client version ${text} is too old. Minimum supported API version is ${oldestVersion} (maximum ${newestVersion}), please upgrade your client to a newer version`,
    )
  if (compareVersions(version, newestVersion) > 0)
    throw badRequest(
      `client version ${text} is too new. Maximum supported API version is ${newestVersion} (minimum ${oldestVersion})`,
    )
  return version
}

/** Negative, zero or positive, as the first is older, equal or newer. */
export function compareVersions(a: ApiVersion, b: ApiVersion): number {
  const [aMajor = 0, aMinor = 0] = a.split('.').map(Number)
  const [bMajor = 0, bMinor = 0] = b.split('.').map(Number)
  return aMajor - bMajor || aMinor - bMinor
}

/** Whether a version has what `since` brought. */
export function atLeast(version: ApiVersion, since: ApiVersion): boolean {
  return compareVersions(version, since) >= 0
}
