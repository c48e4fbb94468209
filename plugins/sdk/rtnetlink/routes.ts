/**
 * A namespace's routes. Most of what a dump of all tables holds is the table `local`, several entries for each address of
 * the host, of use to nobody here: so the tables are asked for one by one, those that the routing rules name (ip-rule(8)).
 */
import * as rt from 'netlink/dist/rt/structs.js'
import { parseAttributes } from 'netlink/dist/structs.js'
import { isSysError } from '#api/sys/sys.ts'
import { addressFromBytes, anyAddress, type Family, type IpSubnet, overlaps, subnetOf } from '../network-addresses.ts'
import { RTM, type RtRequest, routeRequest } from './message.ts'
import { dump, type Where } from './rtnetlink.ts'

const RT_TABLE_LOCAL = 255
/** Offsets in struct rtmsg (and struct fib_rule_hdr, which is laid out alike), and its length. */
const RTMSG_TABLE = 4
const RTMSG_PROTOCOL = 5
const RTMSG_BYTES = 12
const RTATTR_BYTES = 4
const RTA_OIF = 4
/** FRA_TABLE, FRA_L3MDEV: linux/fib_rules.h. */
const FRA = { table: 15, l3mdev: 19 } as const
/** Made by the kernel itself, for an address (rtnetlink(7)). */
const RTPROT_KERNEL = 2
/** AF_INET, AF_INET6. */
const ipFamilies: ReadonlyMap<number, Family> = new Map([
  [2, 4],
  [10, 6],
])
/** fe80::/10 and ff00::/8 lie here: addresses that mean something on one link only. */
const linkScoped = subnetOf('fe00::', 7)

export interface RouteInfo {
  readonly destination: IpSubnet
  readonly gateway: string | undefined
  /** Link index; undefined for blackholes and multipath routes. */
  readonly index: number | undefined
  /** The lowest is used. */
  readonly metric: number
}

interface RoutesWanted extends Where {
  /** Links whose own subnets, known to the caller, are left out. */
  readonly besides?: ReadonlySet<number>
}

/** Unicast routes of both families and every table in use but `local`; not those of link-local addresses and groups. */
export async function listRoutes({ besides = new Set(), ...where }: RoutesWanted = {}): Promise<RouteInfo[]> {
  const answers = await dumpTables(where)
  return answers.flatMap(bytes => {
    if (bytes.readUInt8(RTMSG_TABLE) === RT_TABLE_LOCAL) return []
    if (bytes.readUInt8(RTMSG_PROTOCOL) === RTPROT_KERNEL && besides.has(linkOfRoute(bytes))) return []
    const { data, attrs } = rt.parseRouteMessage(bytes)
    const family = ipFamilies.get(data.family ?? 0)
    if (family === undefined) return []
    const destination = subnetOf(attrs.dst ? addressFromBytes(attrs.dst) : anyAddress(family), data.dstLen ?? 0)
    if (family === 6 && overlaps(destination, linkScoped) && destination.prefix > 0) return []
    const gateway = attrs.gateway && addressFromBytes(attrs.gateway)
    return [{ destination, gateway, index: attrs.oif, metric: attrs.priority ?? 0 }]
  })
}

/** Of all tables at once where a rule names none (a VRF's chooses by the link), or the kernel cannot tell. */
async function dumpTables(where: Where): Promise<Buffer[]> {
  const tables = await tablesInUse(where).catch(ignoringUnsupported)
  if (tables === undefined) return await dump(routeRequest(RTM.getRoute, 0, 'list routes', {}, {}), where)
  const dumps = tables.map(({ family, table }) => {
    const attrs = table < 256 ? {} : { table }
    const request = routeRequest(
      RTM.getRoute,
      0,
      `list routes of table ${table}`,
      { family, table: table & 255 },
      attrs,
    )
    // A table that has had no route yet is not there.
    return dump(request, { ...where, strict: true }).catch(ignoringMissing)
  })
  return (await Promise.all(dumps)).flat()
}

interface Table {
  /** AF_*. */
  readonly family: number
  readonly table: number
}

/** Undefined: not only those that are named. */
async function tablesInUse(where: Where): Promise<Table[] | undefined> {
  const request: RtRequest = {
    type: RTM.getRule,
    flags: 0,
    what: 'list routing rules',
    body: Buffer.alloc(RTMSG_BYTES),
  }
  const found = new Map<string, Table>()
  for (const rule of await dump(request, where)) {
    const family = rule.readUInt8(0)
    let table = rule.readUInt8(RTMSG_TABLE)
    let isVrf = false
    parseAttributes(rule.subarray(RTMSG_BYTES), ({ type, data }) => {
      if (type === FRA.table) table = data.readUInt32LE()
      if (type === FRA.l3mdev) isVrf = data[0] === 1
    })
    if (isVrf) return undefined
    // 0: a rule that refuses, or goes to another rule.
    if (ipFamilies.has(family) && table !== 0 && table !== RT_TABLE_LOCAL)
      found.set(`${family} ${table}`, { family, table })
  }
  return [...found.values()]
}

/** The interface of a route message; 0: it has none. */
function linkOfRoute(bytes: Buffer): number {
  for (let at = RTMSG_BYTES; at + RTATTR_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (bytes.readUInt16LE(at + 2) === RTA_OIF) return bytes.readUInt32LE(at + RTATTR_BYTES)
    // Attributes begin at multiples of four; one without a length would be read for ever.
    at += Math.max(RTATTR_BYTES, (length + 3) & ~3)
  }
  return 0
}

function ignoringMissing(error: unknown): Buffer[] {
  if (isSysError(error, 'ENOENT')) return []
  throw error
}

/** A kernel without policy routing has one table besides `local`, or two. */
function ignoringUnsupported(error: unknown): undefined {
  if (!isSysError(error, 'EOPNOTSUPP')) throw error
}
