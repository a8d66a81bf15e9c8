import { nodeIdField } from "../catalogue.ts";
import {
  bytesField,
  type FieldCodec,
  flagField,
  listField,
  optionalField,
  recordField,
  textField,
  uintField,
} from "../field_codec.ts";
import type {
  Entry,
  EntryId,
  GroupChange,
  GroupConfiguration,
  GroupStep,
  HardState,
  Proposal,
  Snapshot,
} from "./messages.ts";

/** Bytes of one entry's data. */
const ENTRY_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes of one snapshot's data. */
const SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024;
/** Nodes in one list of a configuration or change. */
const GROUP_NODES_MAX = 4_096;

/** Where an entry is. */
export const entryIdField: FieldCodec<EntryId> = recordField<EntryId>({
  term: uintField(),
  index: uintField(),
});

/** Term, vote and commit index. */
export const hardStateField: FieldCodec<HardState> = recordField<HardState>({
  term: uintField(),
  vote: optionalField(nodeIdField),
  commit: uintField(),
});

const nodesField = listField(nodeIdField, GROUP_NODES_MAX);
/** Who belongs to the group. */
export const groupConfigurationField: FieldCodec<GroupConfiguration> = recordField<
  GroupConfiguration
>({
  voters: nodesField,
  votersOutgoing: nodesField,
  learners: nodesField,
  learnersNext: nodesField,
  autoLeave: flagField,
});

/** An order to change who belongs to the group. */
export const groupChangeField: FieldCodec<GroupChange> = recordField<GroupChange>({
  transition: choiceField(["auto", "implicit", "explicit"] as const),
  steps: listField(
    recordField<GroupStep>({
      action: choiceField(["add_voter", "add_learner", "remove", "update"] as const),
      node: nodeIdField,
    }),
    GROUP_NODES_MAX,
  ),
  context: bytesField(0, ENTRY_BYTES_MAX),
  form: choiceField(["single", "batch"] as const),
});

const dataField = bytesField(0, ENTRY_BYTES_MAX);

/** What an entry says. */
const proposalField: FieldCodec<Proposal> = {
  write: (writer, proposal) => {
    writer.uint8(proposal.kind === "command" ? 0 : 1);
    if (proposal.kind === "command") dataField.write(writer, proposal.data);
    else groupChangeField.write(writer, proposal.change);
  },
  read: (reader) => {
    const kind = reader.varint(1);
    if (kind === 0) return { kind: "command", data: dataField.read(reader) };
    return { kind: "group_change", change: groupChangeField.read(reader) };
  },
};

/** A proposal with its place in the log. */
export const entryField: FieldCodec<Entry> = {
  write: (writer, entry) => {
    entryIdField.write(writer, entry);
    proposalField.write(writer, entry);
  },
  read: (reader) => ({ ...entryIdField.read(reader), ...proposalField.read(reader) }),
};

/** A state and the configuration at its index. */
export const snapshotField: FieldCodec<Snapshot> = recordField<Snapshot>({
  id: entryIdField,
  configuration: groupConfigurationField,
  data: bytesField(0, SNAPSHOT_BYTES_MAX),
});

function choiceField<Choice extends string>(choices: readonly Choice[]): FieldCodec<Choice> {
  const text = textField<Choice>(16, (found) => choices.some((choice) => choice === found));
  return text;
}
