/** The log drivers as a plugin: one process for all containers. */
import * as z from 'zod'
import { defineLogDriver } from '#sdk/define-log-sink.ts'
import { defaultPluginFolders } from '#sdk/docker-plugins/discover.ts'
import { configOf } from '#sdk/plugin-config.ts'
import { LogDrivers } from './log-drivers.ts'

const configSchema = z.strictObject({
  docker_plugin_folders: z
    .array(z.string())
    .default([...defaultPluginFolders])
    .describe("where Docker's log plugins say how they are reached; as the Docker gateway's setting of this name"),
  journal_socket: z.string().default('/run/systemd/journal/socket').describe("the journal's, for journald"),
  syslog_socket: z.string().default('/dev/log').describe('for syslog without an address'),
})

export type Config = z.infer<typeof configSchema>

export const standard = defineLogDriver<Config>({
  id: 'standard',
  version: '0.1.0',
  capabilities: ['syslog', 'gelf', 'fluentd', 'journald'],
  ...configOf(configSchema),
  create: async ({ config, state }) => new LogDrivers({ config, state }),
})
