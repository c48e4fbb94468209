#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { docker } from './docker.ts'

await serve(docker)
