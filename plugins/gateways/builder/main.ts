#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { builder } from './builder.ts'

await serve(builder)
