/** For what bundles workflows: it says a lot. */
export const SILENT = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
