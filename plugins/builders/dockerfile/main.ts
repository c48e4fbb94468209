#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { dockerfile } from './dockerfile.ts'

await serve(dockerfile)
