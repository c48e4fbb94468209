#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { host } from './host.ts'

await serve(host)
