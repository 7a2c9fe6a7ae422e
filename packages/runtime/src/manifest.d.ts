// TypeScript would take the file itself for a source outside of src.
declare module "@dyn/runtime/package.json" {
  const manifest: { readonly version: string; readonly peerDependencies: Readonly<Record<string, string>> };
  export = manifest;
}
