/** `ps`: containers with their tasks, addresses and ports in one table. */
import { type Container, ContainersDefinition } from '#api/gen/containerd/services/containers/v1/containers.ts'
import { TasksDefinition } from '#api/gen/containerd/services/tasks/v1/tasks.ts'
import { type Process, Status } from '#api/gen/containerd/types/task/task.ts'
import type { PortMapping } from '#api/gen/gantry/network/v1/network.ts'
import { type AttachmentRecord, NetworksServiceDefinition } from '#api/gen/gantry/services/networks/v1/networks.ts'
import { printLines, printRecords } from '../output/table.ts'
import { formatAge, shortId } from '../output/units.ts'
import type { Session } from '../session.ts'

interface Row {
  container: Container
  task: Process | undefined
  attachments: Attached[]
}

type Attached = AttachmentRecord & { driver: string }

export async function ps(session: Session, flags: { all?: boolean; quiet?: boolean }): Promise<void> {
  const [{ containers }, { tasks }, { networks }] = await Promise.all([
    session.client(ContainersDefinition).list({}),
    session.client(TasksDefinition).list({}),
    session.client(NetworksServiceDefinition).list({}),
  ])
  const attachments = networks.flatMap(({ attachments, driver }) => attachments.map(record => ({ ...record, driver })))
  const rows = containers
    .map(container => ({
      container,
      task: tasks.find(task => task.id === container.id),
      attachments: attachments.filter(attachment => attachment.containerId === container.id),
    }))
    .filter(row => flags.all || (row.task !== undefined && row.task.status !== Status.STOPPED))
  if (flags.quiet) return printLines(rows.map(row => row.container.id))
  if (session.json) return printRecords(rows.map(asJson), {}, true)
  printRecords(
    rows,
    {
      ID: row => shortId(row.container.id),
      IMAGE: row => row.container.image,
      STATUS: row => statusName(row.task),
      PID: row => row.task?.pid || '',
      ADDRESS: row => row.attachments.flatMap(addresses).join(','),
      PORTS: row => row.attachments.flatMap(ports).join(', '),
      CREATED: row => formatAge(row.container.createdAt),
    },
    false,
  )
}

function asJson(row: Row) {
  return {
    id: row.container.id,
    image: row.container.image,
    labels: row.container.labels,
    status: statusName(row.task),
    pid: row.task?.pid ?? 0,
    exitStatus: row.task?.exitStatus ?? 0,
    addresses: row.attachments.flatMap(addresses),
    ports: row.attachments.flatMap(attachment => attachment.result?.ports ?? []),
    createdAt: row.container.createdAt,
  }
}

/** `running`, `stopped`, …; `created` for a container that was never started. */
export function statusName(task: Process | undefined): string {
  const name = Object.entries(Status).find(([, value]) => value === task?.status)?.[0]
  return task === undefined ? 'created' : (name ?? 'unknown').toLowerCase()
}

/** On the host's network the host's own addresses are no news of the container. */
const addresses = ({ driver, result }: Attached) =>
  driver === 'host' ? [] : (result?.ips ?? []).map(ip => ip.address.replace(/\/\d+$/, ''))
const ports = ({ result }: Attached) => (result?.ports ?? []).map(formatPort)

/** `0.0.0.0:8080->80/tcp`. */
export function formatPort({ hostIp, hostPort, containerPort, protocol }: PortMapping): string {
  return `${hostIp || '0.0.0.0'}:${hostPort}->${containerPort}/${protocol}`
}
