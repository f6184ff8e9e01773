// The record format `protobuf`.

import type { RecordDecoder, RecordFormat, RecordPart } from '../format.ts'
import { ProtobufDecoder } from './decoder.ts'
import type { ProtobufOptions } from './options.ts'

export class ProtobufFormat implements RecordFormat {
  readonly readsNull = false
  private readonly options: ProtobufOptions

  constructor(options: ProtobufOptions) {
    this.options = options
  }

  decoder(topic: string, part: RecordPart, saved: string | null): RecordDecoder {
    return new ProtobufDecoder(this.options, topic, part, saved)
  }
}
