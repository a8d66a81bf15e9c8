import type { ComponentChildren } from "preact";
import { marked, type MarkedToken, type Token } from "marked";
import { useMemo } from "preact/hooks";
import { Act, copyText } from "../parts/mod.ts";
import { coloured } from "./highlight.tsx";

const LINK = /^(https?:|mailto:)/i;
const HEADINGS = ["h3", "h4", "h5", "h6"] as const;

/** Markdown as elements. Nothing of a text is ever taken for HTML: an answer is a stranger's. */
export function Markdown({ text }: { readonly text: string }) {
  const tokens = useMemo(() => marked.lexer(text), [text]);
  return <div class="markdown">{blocks(tokens)}</div>;
}

function blocks(tokens: readonly Token[]): ComponentChildren {
  return tokens.map((token, index) => <Block key={index} token={token as MarkedToken} />);
}

function Block({ token }: { readonly token: MarkedToken }) {
  switch (token.type) {
    case "heading": {
      const Heading = HEADINGS[Math.min(token.depth, HEADINGS.length) - 1] ?? "h6";
      return <Heading>{inline(token.tokens)}</Heading>;
    }
    case "paragraph":
      return <p>{inline(token.tokens)}</p>;
    case "code":
      return <Code text={token.text} language={token.lang ?? ""} />;
    case "blockquote":
      return <blockquote>{blocks(token.tokens)}</blockquote>;
    case "list": {
      const items = token.items.map((item, index) => <li key={index}>{blocks(item.tokens)}</li>);
      return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table":
      return (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Table">
          <table>
            <thead>
              <tr>
                {token.header.map((cell, index) => <th key={index}>{inline(cell.tokens)}</th>)}
              </tr>
            </thead>
            <tbody>
              {token.rows.map((row, index) => (
                <tr key={index}>
                  {row.map((cell, column) => <td key={column}>{inline(cell.tokens)}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
    case "hr":
      return <hr />;
    case "space":
    case "def":
      return null;
    case "text":
      return <>{token.tokens === undefined ? token.text : inline(token.tokens)}</>;
    default:
      return <>{token.raw}</>;
  }
}

function inline(tokens: readonly Token[]): ComponentChildren {
  return tokens.map((token, index) => <Inline key={index} token={token as MarkedToken} />);
}

function Inline({ token }: { readonly token: MarkedToken }) {
  switch (token.type) {
    case "strong":
      return <strong>{inline(token.tokens)}</strong>;
    case "em":
      return <em>{inline(token.tokens)}</em>;
    case "del":
      return <del>{inline(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return LINK.test(token.href)
        ? <a href={token.href} target="_blank" rel="noreferrer noopener">{inline(token.tokens)}</a>
        : <>{token.raw}</>;
    case "escape":
      return <>{token.text}</>;
    case "text":
      return <>{token.tokens === undefined ? token.text : inline(token.tokens)}</>;
    // Pictures of other hosts are never fetched, and HTML is a text like any other.
    default:
      return <>{token.raw}</>;
  }
}

function Code({ text, language }: { readonly text: string; readonly language: string }) {
  const [name = ""] = language.split(/\s/);
  return (
    <div class="code">
      <div class="code-head">
        <span>{name || "text"}</span>
        <Act icon="copy" label="Copy the code" isBare onClick={() => void copyText(text)} />
      </div>
      <pre tabIndex={0}><code>{coloured(text, name)}</code></pre>
    </div>
  );
}
