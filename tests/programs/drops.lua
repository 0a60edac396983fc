-- For mpv: says at the end how many frames were dropped, by the decoder and on the way to the screen, and the second
-- that it came to.
local counts = { "decoder-frame-drop-count", "frame-drop-count", "vo-delayed-frame-count" }
local dropped, second = 0, 0
mp.add_periodic_timer(0.1, function()
    local sum = 0
    for _, name in ipairs(counts) do
        sum = sum + (mp.get_property_number(name) or 0)
    end
    dropped = math.max(dropped, sum)
    second = math.max(second, mp.get_property_number("time-pos") or 0)
end)
mp.register_event("shutdown", function()
    io.stdout:write(string.format("%d %.1f\n", dropped, second))
    io.stdout:flush()
end)
