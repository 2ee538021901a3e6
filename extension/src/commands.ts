/** Names of Tunebook's commands. */
export const commandIds = {
  form: 'tunebook:form',
  fineTuneOn: 'tunebook:fine-tune-on',
  showRuns: 'tunebook:show-runs',
  refresh: 'tunebook:refresh-runs',
  openRun: 'tunebook:open-run',
  resumeRun: 'tunebook:resume-run',
  runAgain: 'tunebook:run-again',
  starRun: 'tunebook:star-run',
  noteRun: 'tunebook:note-run',
  stopRun: 'tunebook:stop-run',
  renameRun: 'tunebook:rename-run',
  deleteRun: 'tunebook:delete-run',
  parameters: 'tunebook:parameters',
  runNotebook: 'tunebook:run-in-background',
  limit: 'tunebook:set-limit',
  hold: 'tunebook:hold-queue'
} as const;
