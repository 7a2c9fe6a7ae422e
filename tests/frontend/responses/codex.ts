/** A second turn as OpenAI's Codex sends it, in fewer words. */
export function codexRequest(model: string): object {
  return {
    model,
    stream: true,
    store: false,
    tool_choice: "auto",
    parallel_tool_calls: true,
    reasoning: { summary: "auto" },
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "0199",
    client_metadata: { "x-codex-installation-id": "1" },
    text: { verbosity: "low" },
    tools: [
      {
        type: "function",
        name: "exec_command",
        description: "runs",
        strict: false,
        parameters: { type: "object", properties: {} },
      },
      {
        type: "namespace",
        name: "multi_agent_v1",
        description: "agents",
        tools: [
          {
            type: "function",
            name: "spawn_agent",
            description: "one",
            strict: false,
            parameters: { type: "object", properties: {} },
          },
        ],
      },
      {
        type: "custom",
        name: "apply_patch",
        description: "patches",
        format: { type: "grammar", syntax: "lark", definition: "start: x" },
      },
      { type: "tool_search", execution: "client", description: "finds", parameters: {} },
      { type: "web_search", external_web_access: true },
    ],
    input: [
      { type: "message", id: "msg_1", role: "developer", content: [{ type: "input_text", text: "be brief" }] },
      { type: "message", role: "user", content: [{ type: "input_text", text: "hello" }] },
      {
        type: "reasoning",
        id: "rs_1",
        summary: [{ type: "summary_text", text: "hm" }],
        content: null,
        encrypted_content: null,
      },
      {
        type: "message",
        role: "assistant",
        phase: "commentary",
        content: [{ type: "output_text", text: "I look", annotations: [], logprobs: [] }],
      },
      {
        type: "function_call",
        status: "completed",
        id: "fc_1",
        name: "exec_command",
        arguments: '{"cmd":"ls"}',
        call_id: "call_1",
      },
      {
        type: "custom_tool_call",
        status: null,
        id: null,
        name: "apply_patch",
        input: "*** Begin Patch",
        call_id: "call_2",
      },
      {
        type: "function_call",
        id: "fc_3",
        name: "spawn_agent",
        arguments: "{}",
        call_id: "call_3",
        namespace: "multi_agent_v1",
      },
      { type: "function_call_output", id: "fco_1", call_id: "call_1", output: "a.txt" },
      { type: "custom_tool_call_output", call_id: "call_2", output: "done" },
      {
        type: "function_call_output",
        call_id: "call_3",
        output: [
          { type: "input_text", text: "two " },
          { type: "input_text", text: "parts" },
        ],
      },
      { type: "ghost_snapshot", ghost_commit: {} },
    ],
  };
}
