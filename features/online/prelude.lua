-- What the scripts share. A tile sums up the events of a stretch of time; the widths of tiles (us)
-- divide each other: 1 s, 10 s, 1 min, 5 min, 30 min, 3 h, 12 h, 2 d, 10 d, 50 d.
local WIDTHS = {1e6, 1e7, 6e7, 3e8, 1.8e9, 1.08e10, 4.32e10, 1.728e11, 8.64e11, 4.32e12}

local function tile_name(level, time)
  local width = WIDTHS[level]
  return string.format('%d:%.0f', level, (time - time % width) / width)
end

-- Forget the tiles that cover the moments; they are made again from the events when asked for.
local function forget_tiles(key, times)
  for _, time in ipairs(times) do
    for level in ipairs(WIDTHS) do redis.call('HDEL', key, tile_name(level, time)) end
  end
end

