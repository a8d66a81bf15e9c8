/** What `/?` and its topics print. */
export const HELP_TEXTS = {
  commands: `Commands:
  /set            Change settings of this conversation
  /show           Show what the model is
  /load <model>   Go on with another model
  /save <model>   Save model and conversation under a new name
  /clear          Forget the conversation so far
  /list           List the models
  /bye            Leave
  /?, /help       This help
  /? set, /? show, /? shortcuts   More on these

Use """ to begin and end a message of several lines, or Ctrl-J between lines.`,
  set: `Settings:
  /set parameter <name> <value>   Set an option such as temperature or num_ctx
  /set system <text>              Set the system message
  /set history, nohistory         Keep what is typed for the next time, or not
  /set wordwrap, nowordwrap       Break lines at words, or not
  /set format json, noformat      Answers in JSON, or free text
  /set verbose, quiet             Figures after each answer, or not
  /set think [level], nothink     Let the model think first, or not`,
  show: `Parts:
  /show info         What the model is
  /show license      Its licence
  /show modelfile    Its Modelfile
  /show parameters   Its parameters and those set here
  /show system       The system message
  /show template     The prompt template`,
  shortcuts: `Keys:
  Ctrl-A, Ctrl-E     Beginning and end of the line
  Alt-B, Alt-F       One word back and forward
  Ctrl-K, Ctrl-U     Delete to the end and to the beginning of the line
  Ctrl-W             Delete the word before the cursor
  Ctrl-L             Clear the screen
  Up, Down           Earlier and later lines
  Ctrl-J             Next line of the same message
  Ctrl-G             Write the message in $EDITOR
  Ctrl-C             Stop the answer, or clear the line
  Ctrl-D             Leave
  Ctrl-Z             Suspend`,
} as const;
