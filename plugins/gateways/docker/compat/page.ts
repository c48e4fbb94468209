/** docs/docker-compat.md, made of the tables. `node plugins/gateways/docker/compat/page.ts` writes it. */
import { writeFileSync } from 'node:fs'
import { newestVersion, oldestVersion } from '../http/api-version.ts'
import { endpointGroups, type Standing } from './endpoints.ts'
import { createOptions } from './options.ts'

export const pagePath = new URL('../../../../docs/docker-compat.md', import.meta.url)

interface Row {
  readonly name: string
  readonly standing: Standing
  readonly note: string
}

export function compatPage(): string {
  const all = endpointGroups.flatMap(group => group.endpoints)
  const count = (standing: Standing) => all.filter(row => row.standing === standing).length
  return `${[
    '# The Docker Engine API, endpoint by endpoint',
    '',
    '<!-- Made by plugins/gateways/docker/compat/page.ts: change the tables there. -->',
    '',
    `The gateway serves versions ${oldestVersion} to ${newestVersion}, with or without \`/vX.Y\` before the path, and announces`,
    '`api_version` of its settings (1.51 unless changed). Which form an answer has depends on the version of the path.',
    '',
    `Of ${all.length} endpoints ${count('works')} work, ${count('partial')} in part, ${count('not implemented')} are not implemented.`,
    'A test asks a running gateway for each of them.',
    ...endpointGroups.flatMap(({ title, endpoints }) => ['', `## ${title}`, '', ...table('endpoint', endpoints)]),
    '',
    '## Options of `POST /containers/create`',
    '',
    'Members that are not in this table are heeded as Docker does.',
    '',
    ...table('member', createOptions),
    '',
    '## Settings',
    '',
    'In `[plugins.gateways.docker]` of gantryd: `api_version`; `registry_mirrors` (registry → URLs that are tried first, for',
    'pulls); `registry_upstreams` (registry → URL of what stands in for it); `insecure_registries` (hosts that may do without',
    'a good certificate, or without TLS). Registries without a setting are spoken to as `hosts.toml` of gantryd says.',
    '`tcp_address` (HOST:PORT) listens beside the socket, over TLS alone, to clients with a certificate: it needs `tls_ca`,',
    '`tls_certificate` and `tls_key`, PEM files.',
    '',
    '## Beyond Docker',
    '',
    '- A health check that is nothing but an address is made by the engine: `--health-cmd tcp://:5432`,',
    '  `--health-cmd http://:8080/health` (2xx and 3xx are healthy). The image needs no shell and no curl.',
    '- `POST /containers/{id}/update` also takes `Env` (`K=V` sets, `K` takes away), `Labels`, `PortBindings`, `Networks` (by name:',
    '  `null` takes away), `Mounts` (each in place of what is at its target) and `RemoveMounts` (targets): ports and networks at',
    '  once, the others for the next start.',
    '- `gctr -n moby containers command CONTAINER` prints the `docker run` line that would make it again.',
    '- Execs, events and health checks go on when the process of the gateway is killed.',
    '',
    'Beside dockerd 20.10, request by request: [docker-differential.md](docker-differential.md).',
    '',
    '## Differences one may notice',
    '',
    '- Images are shared with every client of the tenant namespace `moby`: `ctr -n moby`, `gctr -n moby`. An image has the',
    '  digest of its configuration as its id, as in dockerd’s classic store; digests of manifests and indexes name it too.',
    '- A name that moves to another image leaves the old one as `<none>`, with its digest where a registry has it.',
    '- Events are on disk: `docker events --since` reaches back behind restarts and crashes.',
    '- docker-compose 1 gets images in the form of API 1.41, whatever version it speaks: it cannot read a newer one.',
  ].join('\n')}\n`
}

function table(head: string, rows: readonly Row[]): string[] {
  const lines = rows.map(({ name, standing, note }) => `| \`${name}\` | ${standing} | ${note} |`)
  return [`| ${head} | | what is missing or different |`, '|---|---|---|', ...lines]
}

if (import.meta.main) writeFileSync(pagePath, compatPage())
