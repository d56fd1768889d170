import { defineConfig } from "vite";

// Flask renders the pages from the manifest; the files are served under /assets by the server.
export default defineConfig({
  base: "/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "dist",
    assetsDir: "assets",
    manifest: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["src/entries/room.tsx", "src/entries/lobby.tsx", "src/entries/library.tsx", "src/entries/selector.tsx", "src/entries/admin.tsx", "src/entries/reference.tsx"] },
  },
});
