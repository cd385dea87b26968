/** Options of file upload (XEP-0363). */
import { choice, integer, optionalText, secret, section, text } from "./options.ts";

export const upload = section("XEP-0363: files that users send each other by HTTP.", {
  engine: choice(["none", "directory", "s3"], {
    about: "directory: on this node's disk, or one that nodes share. s3: a bucket.",
    default: "none",
  }),
  fileBytesMax: integer({
    about: "Largest file.",
    default: 104_857_600,
    min: 1_024,
    max: 1_099_511_627_776,
  }),
  userBytesMax: integer({
    about: "Bytes kept for one user.",
    default: 1_073_741_824,
    min: 1_024,
    max: 1_099_511_627_776,
  }),
  userFilesMax: integer({
    about: "Files kept for one user.",
    default: 1_000,
    min: 1,
    max: 100_000,
  }),
  keepDays: integer({ about: "Days a file is kept.", default: 30, min: 1, max: 3_650 }),
  directory: section("Used when upload.engine is directory.", {
    path: optionalText({ about: "Where files are kept; `uploads` in data when left out." }),
    freeBytesMin: integer({
      about: "Space that stays free on the disk: files are refused before.",
      default: 1_073_741_824,
      min: 0,
      max: 1_099_511_627_776,
    }),
  }),
  s3: section("Used when upload.engine is s3. Let a rule of the bucket expire old files.", {
    endpoint: text({ about: "URL of the service.", default: "https://s3.amazonaws.com" }),
    region: text({ about: "Region of the bucket.", default: "us-east-1" }),
    bucket: optionalText({ about: "The bucket." }),
    prefix: text({ about: "All files' names start with it.", default: "uploads/" }),
    accessKeyId: optionalText({ about: "Name of the access key." }),
    secretAccessKey: secret("The access key."),
    publicUrl: optionalText({
      about: "What everybody reads the bucket by; signed for each reader when left out.",
    }),
  }),
});
