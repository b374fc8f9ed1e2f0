#!/usr/bin/env bash
# Makes the pictures and figures of the README again, with the built-in model: docs/contact_sheet.png,
# docs/panorama_*.png with their uncoupled baselines, docs/panorama_*.json (four more prompts for figures alone),
# docs/full.png, docs/sphere.png, docs/tile_2x2.png. Minutes on a software adapter.
#   scripts/pictures.sh [path of the syncline binary]
set -euo pipefail
cd "$(dirname "$0")/.."
syncline=${1:-target/release/syncline}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

prompts=(
  "a sunset over desert dunes with distant mountains"
  "night sea under a starry sky"
  "green meadow at noon with hills and trees"
  "snow at dawn with mountains, pine trees"
  "aurora over the sea at night with mountains"
  "noon, sea, a city skyline, clear sky"
  "red canyon at noon under a cloudy sky"
  "night, city skyline, snow, aurora"
  "cloudy sunset over a snowy plain"
  "dawn over a meadow, flat, clear sky"
  "desert at night, stars, rocks"
  "sea at sunset, hills"
)
for i in "${!prompts[@]}"; do
  "$syncline" txt2img -q -p "${prompts[$i]}" --batch-size 2 -s 7 --steps 25 --force -o "$work/$(printf %02d "$i")_%d.png" >/dev/null
done
"$syncline" contact-sheet --columns 6 --force -o docs/contact_sheet.png "$work"/*.png
printf '%s\n' "${prompts[@]}" > docs/contact_sheet.txt

panorama() {
  "$syncline" panorama -q -p "$2" -s "$3" --force -o "docs/panorama_$1.png" --report "docs/panorama_$1.json"
}
panorama sunset "a sunset over desert dunes with distant mountains" 1
panorama meadow "green meadow at noon under a cloudy sky with mountains" 4
panorama aurora "snow at night, aurora, with a city skyline" 2
panorama sea "noon over the sea, clear sky, hills" 5

figures() {
  "$syncline" panorama -q -p "$2" -s "$3" --force -o "$work/panorama_$1.png" --report "docs/panorama_$1.json"
}
figures aurora_sea "aurora over the sea at night with mountains" 3
figures canyon "red canyon at noon under a cloudy sky" 6
figures dawn "snow at dawn with mountains, pine trees" 7
figures city_sea "noon, sea, a city skyline, clear sky" 8

# Other canvases.
"$syncline" panorama -q -p "green meadow at noon under a cloudy sky with mountains" -s 1 --view-set full --force -o docs/full.png
for look in up:60 down:-60; do
  "$syncline" reproject -q -i docs/full.png -o "docs/full_${look%%:*}.png" --elevation "${look##*:}" --fov 90 --size 512x512 --force
done
"$syncline" sphere -q -p "starry sky at night with aurora, looking up at the sky" -s 4 --up-prompt "" --down-prompt "" --force \
  -o docs/sphere.png
"$syncline" tile -q -p "red rock canyon, looking down at the ground" -s 3 --force -o "$work/tile.png"
"$syncline" contact-sheet "$work"/tile.png "$work"/tile.png "$work"/tile.png "$work"/tile.png --columns 2 --gap 0 --force -o docs/tile_2x2.png
