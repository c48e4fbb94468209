import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hostConfigSchema } from '../containers/create/body.ts'
import { endpointGroups } from './endpoints.ts'
import { createOptions } from './options.ts'
import { compatPage, pagePath } from './page.ts'

test('docs/docker-compat.md is what the tables say', () => {
  const hint = 'run: node plugins/gateways/docker/compat/page.ts'
  assert.equal(readFileSync(pagePath, 'utf8'), compatPage(), hint)
})

test('endpoints are listed once, and say what is missing', () => {
  const all = endpointGroups.flatMap(group => group.endpoints)
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length)
  for (const { name, standing, note } of all) assert.ok(standing === 'works' || note !== '', name)
})

test('options are members of the body', () => {
  const members = Object.keys(hostConfigSchema.shape)
  for (const { name } of createOptions)
    if (name.startsWith('HostConfig.')) assert.ok(members.includes(name.slice('HostConfig.'.length)), name)
})
