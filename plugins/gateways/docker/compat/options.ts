/** What of the body of `POST /containers/create` is heeded. Members that are not named here are heeded as in Docker. */
import type { Standing } from './endpoints.ts'

export interface Option {
  /** `HostConfig.Init` */
  readonly name: string
  readonly standing: Standing
  readonly note: string
}

const option = (name: string, standing: Standing, note: string): Option => ({ name, standing, note })
const ignored = 'taken and shown, without effect'

export const createOptions: readonly Option[] = [
  option('ArgsEscaped', 'not implemented', `Windows: ${ignored}`),
  option(
    'HostConfig.LogConfig',
    'partial',
    'json-file, local (kept as json-file), none, syslog, gelf, fluentd, journald and log plugins (docs/logs.md); not awslogs, splunk, gcplogs, logentries; compress is ignored; a bad max-size or max-file is refused here rather than at the start',
  ),
  option(
    'HostConfig.SecurityOpt',
    'partial',
    'seccomp, apparmor, no-new-privileges, systempaths; no default AppArmor profile; label warns',
  ),
  option('HostConfig.Mounts', 'works', 'bind, volume, tmpfs and image; npipe and cluster are refused'),
  option('HostConfig.VolumeDriver', 'works', 'local, and volume plugins'),
  option('HostConfig.DeviceRequests', 'not implemented', '501'),
  option('HostConfig.StorageOpt', 'partial', '`size`, where the snapshotter can limit a root; others are refused'),
  option('HostConfig.ContainerIDFile', 'works', "the client's own: shown"),
  option('HostConfig.CpuCount', 'not implemented', `Windows: ${ignored}`),
  option('HostConfig.CpuPercent', 'not implemented', `Windows: ${ignored}`),
  option('HostConfig.IOMaximumIOps', 'not implemented', `Windows: ${ignored}`),
  option('HostConfig.IOMaximumBandwidth', 'not implemented', `Windows: ${ignored}`),
  option('HostConfig.Isolation', 'not implemented', `Windows: ${ignored}`),
]
