/** The base of a builder's contract: that it serves, and refuses with words what it cannot do. */
import assert from 'node:assert/strict'
import { type GantryError, isGantryError } from '#api/errors/errors.ts'
import {
  BuilderServiceDefinition,
  BuildRequest,
  type BuildResponse,
} from '#api/gen/gantry/services/builder/v1/builder.ts'
import { type Client, connect, createClient } from '#api/rpc/client.ts'
import type { Rule } from './rule.ts'

type Builder = Client<typeof BuilderServiceDefinition>

export function builderRules(address: string): Rule[] {
  return Object.entries(checks).map(([text, check]) => ({
    text,
    async check() {
      using channel = connect(address, { namespace: 'default' })
      await check(createClient(BuilderServiceDefinition, channel))
    },
  }))
}

const checks: Readonly<Record<string, (builder: Builder) => Promise<void>>> = {
  'what its cache holds is told': async builder => {
    await builder.list({})
  },

  'a build that is unknown is NOT_FOUND': async builder => {
    await assert.rejects(builder.explain({ buildId: 'gantry-check-nobody' }), (error: unknown) => {
      assert.ok(isGantryError(error))
      assert.equal(error.code, 'NOT_FOUND', error.message)
      return true
    })
  },

  'a Dockerfile that cannot be read is INVALID_ARGUMENT, with its line': async builder => {
    const error = await failureOf(builder, 'FROM scratch\nNOSUCHWORD here\n')
    assert.equal(error.code, 'INVALID_ARGUMENT', error.message)
    assert.match(error.message, /2/)
  },

  'a build without options is INVALID_ARGUMENT': async builder => {
    const error = await failure(builder.build(nothing()))
    assert.equal(error.code, 'INVALID_ARGUMENT', error.message)
  },
}

async function failureOf(builder: Builder, dockerfile: string): Promise<GantryError> {
  async function* requests(): AsyncIterable<BuildRequest> {
    yield BuildRequest.fromPartial({ options: { inlineDockerfile: Buffer.from(dockerfile) } })
  }
  return await failure(builder.build(requests()))
}

async function* nothing(): AsyncIterable<BuildRequest> {}

/** How it ended, when it did so as it should: badly. */
async function failure(answers: AsyncIterable<BuildResponse>): Promise<GantryError> {
  try {
    for await (const _ of answers);
  } catch (error) {
    assert.ok(isGantryError(error))
    return error
  }
  throw new assert.AssertionError({ message: 'it was built' })
}
