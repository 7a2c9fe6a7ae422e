/** Parts of a chat message that are no text, in OpenAI's words. */
import * as z from "zod";
import { described } from "../inference/described.ts";
import { toPlace, type Part } from "../inference/parts.ts";

const imagePart = z
  .looseObject({
    image_url: z.looseObject({
      url: described("An address, or a data URL with the bytes in base64.", z.string().min(1)),
      detail: z.string().nullish(),
    }),
  })
  .transform(({ image_url: { url, detail } }): Part => ({
    type: "image_url",
    media: { kind: "image", ...toPlace(url), ...(detail != null && { detail }) },
  }));

const audioPart = z
  .looseObject({ input_audio: z.looseObject({ data: z.string(), format: z.string() }) })
  .transform(({ input_audio: { data, format } }): Part => ({
    type: "input_audio",
    media: { kind: "audio", data, mediaType: format },
  }));

const filePart = z
  .looseObject({
    file: z.looseObject({
      file_data: described("A data URL, or the bytes in base64.", z.string().nullish()),
      file_id: z.string().nullish(),
      filename: z.string().nullish(),
    }),
  })
  .transform(({ file: { file_data: data, file_id: fileId, filename: name } }): Part => ({
    type: "file",
    media: {
      kind: "file",
      ...(data != null && (data.startsWith("data:") ? toPlace(data) : { data })),
      ...(fileId != null && { fileId }),
      ...(name != null && { name }),
    },
  }));

export const mediaParts: Readonly<Record<string, z.ZodType<Part>>> = {
  image_url: imagePart,
  input_audio: audioPart,
  file: filePart,
};
