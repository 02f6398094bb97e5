//! Tools that Anthropic's models know by their type and that the application runs: other models need them written out. Source: the documentation of each tool.

use serde_json::{Map, Value, json};

/// What a type of tool does, and the schema of its input. `None`: it is no tool of this kind.
pub(super) fn documented(kind: &str, tool: &Map<String, Value>) -> Option<(String, Value)> {
    let (name, version) = kind.rsplit_once('_')?;
    let version: u32 = version
        .parse()
        .ok()
        .filter(|version| (20_000_000..100_000_000).contains(version))?;
    Some(match name {
        "bash" => bash(),
        "text_editor" => text_editor(version),
        "memory" => memory(),
        "computer" => computer(version, tool),
        _ => return None,
    })
}

fn bash() -> (String, Value) {
    (
        "Runs commands in a shell that lasts: directory, variables and background processes stay from one call to the next. \
         Commands cannot ask for input."
            .to_owned(),
        json!({
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "The command to run. Required unless restart is true."},
                "restart": {"type": "boolean", "description": "True starts the shell anew."},
            },
        }),
    )
}

fn text_editor(version: u32) -> (String, Value) {
    let mut commands = vec!["view", "create", "str_replace", "insert"];
    if version < 20_250_429 {
        commands.push("undo_edit");
    }
    let properties = json!({
        "command": {"type": "string", "enum": commands, "description": "What to do."},
        "path": {"type": "string", "description": "The file; a directory too for view."},
        "view_range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
            "description": "view: first and last line to show, from 1; -1 for the end of the file."},
        "file_text": {"type": "string", "description": "create: what the new file holds."},
        "old_str": {"type": "string", "description": "str_replace: text that stands in the file exactly once, white space included."},
        "new_str": {"type": "string", "description": "str_replace: what takes its place."},
        "insert_line": {"type": "integer", "description": "insert: the line behind which the text goes; 0 for the beginning."},
        "insert_text": {"type": "string", "description": "insert: the text."},
    });
    (
        "Views, creates and edits text files. view shows a file with numbered lines, or lists a directory; create writes a new file; \
         str_replace replaces one piece of text; insert adds text behind a line."
            .to_owned(),
        json!({"type": "object", "properties": properties, "required": ["command", "path"]}),
    )
}

fn memory() -> (String, Value) {
    let properties = json!({
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"], "description": "What to do."},
        "path": {"type": "string", "description": "File or directory below /memories; all commands but rename."},
        "view_range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
            "description": "view: first and last line to show, from 1."},
        "file_text": {"type": "string", "description": "create: what the file holds."},
        "old_str": {"type": "string", "description": "str_replace: the text to replace."},
        "new_str": {"type": "string", "description": "str_replace: what takes its place."},
        "insert_line": {"type": "integer", "description": "insert: the line behind which the text goes."},
        "insert_text": {"type": "string", "description": "insert: the text."},
        "old_path": {"type": "string", "description": "rename: the present path."},
        "new_path": {"type": "string", "description": "rename: the new path."},
    });
    (
        "Keeps notes in files below /memories that outlast this conversation. Look there before a task, and note what a later conversation needs."
            .to_owned(),
        json!({"type": "object", "properties": properties, "required": ["command"]}),
    )
}

fn computer(version: u32, tool: &Map<String, Value>) -> (String, Value) {
    let mut actions = vec![
        "key",
        "type",
        "mouse_move",
        "left_click",
        "left_click_drag",
        "right_click",
        "middle_click",
        "double_click",
        "screenshot",
        "cursor_position",
    ];
    let later = version >= 20_250_124;
    if later {
        actions.extend([
            "triple_click",
            "left_mouse_down",
            "left_mouse_up",
            "scroll",
            "hold_key",
            "wait",
        ]);
    }
    let zoom = version >= 20_251_124 && tool.get("enable_zoom") == Some(&Value::Bool(true));
    if zoom {
        actions.push("zoom");
    }
    let numbers = |count: usize, description: &str| json!({"type": "array", "items": {"type": "integer"}, "minItems": count, "maxItems": count, "description": description});
    let mut properties = Map::new();
    properties.insert(
        "action".into(),
        json!({"type": "string", "enum": actions, "description": "What to do."}),
    );
    properties.insert(
        "coordinate".into(),
        numbers(
            2,
            "x and y in pixels from the left and top: where to click, move, scroll, or drag to.",
        ),
    );
    properties.insert("text".into(), json!({"type": "string", "description": "type: the text. key, hold_key: the keys, such as ctrl+s. Clicks and scroll: a key held meanwhile."}));
    if later {
        properties.insert(
            "start_coordinate".into(),
            numbers(2, "left_click_drag: where to start."),
        );
        properties.insert("scroll_direction".into(), json!({"type": "string", "enum": ["up", "down", "left", "right"], "description": "scroll: where to."}));
        properties.insert(
            "scroll_amount".into(),
            json!({"type": "integer", "description": "scroll: how many steps."}),
        );
        properties.insert(
            "duration".into(),
            json!({"type": "number", "description": "hold_key, wait: seconds."}),
        );
    }
    if zoom {
        properties.insert(
            "region".into(),
            numbers(
                4,
                "zoom: left, top, right and bottom of what to show in full.",
            ),
        );
    }
    let size = |name: &str| tool.get(name).and_then(Value::as_u64).unwrap_or_default();
    (
        format!(
            "Looks at a screen and works its mouse and keyboard. The screen is {} pixels wide and {} high. Take a screenshot first, and after what changes the screen.",
            size("display_width_px"),
            size("display_height_px")
        ),
        json!({"type": "object", "properties": properties, "required": ["action"]}),
    )
}
