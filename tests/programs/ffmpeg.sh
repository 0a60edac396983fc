# ffmpeg: coding and decoding with threads, filters, several formats.
set -u
cd "$HOME"; f="ffmpeg -v error -nostdin -y -threads 2"
$f -f lavfi -i testsrc=size=320x240:rate=25:duration=4 -f lavfi -i sine=frequency=440:duration=4 \
    -c:v libx264 -preset fast -c:a aac -bitexact a.mp4
echo $?
$f -i a.mp4 -f framemd5 - | md5sum; $f -i a.mp4 -c:v mpeg4 -an -bitexact b.avi; md5sum <b.avi
$f -i b.avi -vf scale=160:120,hue=s=0 -f rawvideo -pix_fmt yuv420p - | md5sum
ffprobe -v error -show_entries stream=codec_name,width,nb_frames -of csv a.mp4
$f -f lavfi -i testsrc2=size=640x360:duration=1 -f image2 p%02d.png; cat p*.png | md5sum
$f -f lavfi -i anoisesrc=d=2:seed=1 -c:a flac -bitexact x.flac; md5sum <x.flac
