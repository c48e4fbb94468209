#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { cni } from './cni.ts'

await serve(cni)
