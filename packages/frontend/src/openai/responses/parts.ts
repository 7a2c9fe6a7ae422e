/** Parts of a message of a request for a response. */
import * as z from "zod";
import { described } from "../../inference/described.ts";
import { contentOf, textPart, toPlace, type Content, type Part } from "../../inference/parts.ts";
import { mediaParts } from "../parts.ts";

const refusalPart = z
  .object({ refusal: z.string() })
  .transform(({ refusal }): Part => ({ type: "refusal", text: refusal }));

const imagePart = z
  .looseObject({
    image_url: described("An address, or a data URL with the bytes in base64.", z.string().min(1).nullish()),
    file_id: z.string().nullish(),
    detail: z.string().nullish(),
  })
  .transform(({ image_url: url, file_id: fileId, detail }): Part => ({
    type: "input_image",
    media: {
      kind: "image",
      ...(url != null && toPlace(url)),
      ...(fileId != null && { fileId }),
      ...(detail != null && { detail }),
    },
  }));

const filePart = z
  .looseObject({
    file_data: described("A data URL, or the bytes in base64.", z.string().nullish()),
    file_url: z.string().nullish(),
    file_id: z.string().nullish(),
    filename: z.string().nullish(),
  })
  .transform(({ file_data: data, file_url: url, file_id: fileId, filename: name }): Part => ({
    type: "input_file",
    media: {
      kind: "file",
      ...(data != null ? (data.startsWith("data:") ? toPlace(data) : { data }) : url != null && { url }),
      ...(fileId != null && { fileId }),
      ...(name != null && { name }),
    },
  }));

/** A text, or a list of parts. */
export const content: z.ZodType<Content> = contentOf(
  {
    input_text: textPart,
    output_text: textPart,
    text: textPart,
    summary_text: textPart,
    refusal: refusalPart,
    input_image: imagePart,
    input_file: filePart,
    ...(mediaParts["input_audio"] && { input_audio: mediaParts["input_audio"] }),
  },
  "must be a string or a list of parts",
);
